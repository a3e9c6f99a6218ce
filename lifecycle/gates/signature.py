"""Whether the model can be asked at all, and by those who ask today's champion."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.gates.verdicts import failed, inconclusive, listing, passed
from lifecycle.scoring.contract import row_count, rows_of
from lifecycle.scoring.golden import golden_batch
from lifecycle.scoring.signature import Column, InvalidInput, NoSignature, Signature

_log = logging.getLogger(__name__)

# Every value of the key's type is also a value of these.
_WIDER = {
    "integer": {"long", "double"},
    "long": {"double"},
    "float": {"double"},
    "int32": {"int64", "float64"},
    "float32": {"float64"},
}


class SignatureOptions(GateOptions):
    """There is nothing to set."""


@dataclass(frozen=True, slots=True)
class SignatureGate:
    """Demands a signature, an input example that scores, and inputs that today's clients already send.

    An input that the champion takes and the candidate doesn't is no harm: scorers leave out columns that
    the signature does not name.
    """

    Options: ClassVar[type[GateOptions]] = SignatureOptions
    name: ClassVar[str] = "signature"

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
        inputs = {"inputs": len(signature.inputs)}
        if champion is None:
            return passed(self.name, "The signature is there and the input example scores.", inputs)
        version = champion.version.version
        try:
            before = champion.signature
        except NoSignature:
            message = f"Version {version}, which holds the stage, has no signature to compare with; roll it back."
            return inconclusive(self.name, "champion_without_signature", message)
        breaks = incompatibilities(before, signature)
        if breaks:
            return failed(
                self.name,
                "incompatible",
                f"Clients of version {version} could not call it: {listing(breaks)}. "
                "Make new inputs optional in the signature, or register the model under another name.",
                inputs | {"incompatible_inputs": len(breaks)},
            )
        dropped = [repr(name) for name in before.names if name not in signature.names]
        words = f" It no longer uses {listing(dropped)}." if dropped else ""
        return passed(
            self.name, f"The input example scores, and clients of version {version} can call it.{words}", inputs
        )


def incompatibilities(before: Signature, after: Signature) -> list[str]:
    """What a client that fits ``before`` would be refused for by ``after``, one phrase for each input."""
    known = {column.name: column for column in before.inputs}
    return [problem for column in after.inputs if (problem := _problem(known.get(column.name), column))]


def _problem(before: Column | None, after: Column) -> str:
    if before is None:
        return f"input {after.name!r} is new and required" if after.required else ""
    if after.type != before.type and after.type not in _WIDER.get(before.type, ()):
        return f"input {after.name!r} was {before.type} and is now {after.type}"
    if after.shape != before.shape:
        return f"input {after.name!r} has another shape"
    return (
        f"input {after.name!r} was optional and is now required" if after.required and not before.required else ""
    )
