"""Whether the model can be asked at all, and by those who ask today's champion."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.compatibility import input_problems, output_problems
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.example_loss import lossy_columns
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.gates.verdicts import failed, inconclusive, listing, passed
from lifecycle.scoring.contract import Batch, row_count, rows_of
from lifecycle.scoring.input_example import golden_batch, golden_content
from lifecycle.scoring.signature import InvalidInput, NoSignature, Signature

_log = logging.getLogger(__name__)


class SignatureOptions(GateOptions):
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class SignatureGate:
    """Demands a signature, an input example that scores without loss, and that today's clients can go on.

    They send the champion's inputs and read its outputs. An input that the champion takes and the candidate
    doesn't is no harm: scorers leave out columns that the signature does not name.
    """

    Options: ClassVar[type[GateOptions]] = SignatureOptions
    name: ClassVar[str] = "signature"
    before_loading: ClassVar[bool] = False

    options: SignatureOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """FAILED without a signature or an example, or when the example does not score; see the class."""
        try:
            signature = subject.candidate.signature
        except NoSignature as exc:
            return failed(self.name, "no_signature", f"{str(exc).capitalize()}.")
        return self._example(subject.candidate) or self._compatible(signature, subject.champion)

    def _example(self, candidate: Candidate) -> Verdict | None:
        """What is wrong with the input example, or None."""
        try:
            batch = golden_batch(candidate.snapshot.path)
        except InvalidInput as exc:
            return failed(
                self.name, "example_does_not_fit", f"The input example does not fit the signature: {exc}."
            )
        if batch is None or not row_count(batch):
            return failed(
                self.name,
                "no_example",
                "The model has no input example; log it with input_example=inputs.head(5).",
            )
        lossy = lossy_columns(golden_content(candidate.snapshot.path), batch)
        if lossy:
            message = (
                f"The signature drops or rounds what the input example holds in {listing(lossy)}, and would do so "
                "with what clients send. Infer it from the rows that the model learns from, with every column."
            )
            return failed(self.name, "example_loses_values", message, {"lossy_inputs": len(lossy)})
        return self._scores(candidate, batch)

    def _scores(self, candidate: Candidate, batch: Batch) -> Verdict | None:
        scorer = candidate.scorer  # a model that does not load breaks the gate, and is no verdict on the example
        try:
            answered = rows_of(scorer.predict(batch))
        except Exception as exc:  # the model's own code may raise anything
            _log.debug("the input example does not score", exc_info=True)
            message = f"The model raises {type(exc).__name__} on its own input example."
            return failed(self.name, "example_does_not_score", message)
        if answered != row_count(batch):
            message = f"The model answers {row_count(batch)} example rows with {answered} predictions."
            return failed(self.name, "example_rows_differ", message)
        return None

    def _compatible(self, signature: Signature, champion: Candidate | None) -> Verdict:
        figures: dict[str, Figure] = {"inputs": len(signature.inputs), "outputs": len(signature.outputs)}
        if champion is None:
            return passed(self.name, "The signature is there and the input example scores.", figures)
        version = champion.version.version
        try:
            before = champion.signature
        except NoSignature:
            message = f"Version {version}, which holds the stage, has no signature to compare with; roll it back."
            return inconclusive(self.name, "champion_without_signature", message)
        problem = self._breaks(before, signature, version, figures)
        if problem:
            return problem
        dropped = [repr(name) for name in before.names if name not in signature.names]
        words = f" It no longer uses {listing(dropped)}." if dropped else ""
        return passed(
            self.name, f"The input example scores, and clients of version {version} can call it.{words}", figures
        )

    def _breaks(
        self, before: Signature, after: Signature, version: int, figures: dict[str, Figure]
    ) -> Verdict | None:
        """What the champion's clients would stumble over, or None."""
        inputs = input_problems(before, after)
        if inputs:
            message = (
                f"Clients of version {version} could not call it: {listing(inputs)}. "
                "Make new inputs optional in the signature, or register the model under another name."
            )
            return failed(self.name, "incompatible", message, figures | {"incompatible_inputs": len(inputs)})
        outputs = output_problems(before, after)
        if outputs:
            message = (
                f"Clients of version {version} could not read its answers: {listing(outputs)}. "
                "Log it with the same outputs, or register the model under another name."
            )
            figures = figures | {"incompatible_outputs": len(outputs)}
            return failed(self.name, "outputs_incompatible", message, figures)
        return None
