"""The signature gate: whether the model can be called, also by clients of the champion."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, failed, inconclusive, listing, passed
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.contract import Batch, row_count, rows_of
from lifecycle.scoring.json_rows import golden_batch, golden_content
from lifecycle.scoring.signature import Column, InvalidInput, NoSignature, Signature

# every value of the key's type is also a value of these, except longs beyond 2**53, which are rare
_WIDER = {
    "integer": {"long", "double"},
    "long": {"double"},
    "float": {"double"},
    "int32": {"int64", "float64"},
    "float32": {"float64"},
}


def input_problems(before: Signature, after: Signature) -> list[str]:
    """Why a client that sends the inputs of ``before`` would be refused, one phrase for each input."""
    known = {column.name: column for column in before.inputs}
    return [problem for column in after.inputs if (problem := _input_problem(known.get(column.name), column))]


def output_problems(before: Signature, after: Signature) -> list[str]:
    """Outputs of ``before`` that a client would miss, one phrase for each.

    Outputs are matched by name, unnamed ones by position; additional ones are compatible. A type may become
    narrower: a client that reads a long can read an integer.
    """
    known = {column.name or place: column for place, column in enumerate(after.outputs)}
    pairs = [(column, known.get(column.name or place)) for place, column in enumerate(before.outputs)]
    return [problem for column, now in pairs if (problem := _output_problem(column, now))]


def _input_problem(before: Column | None, after: Column) -> str:
    if before is None:
        return f"input {after.name!r} is new and required" if after.required else ""
    if after.type != before.type and after.type not in _WIDER.get(before.type, ()):
        return f"input {after.name!r} was {before.type} and is now {after.type}"
    if after.shape != before.shape:
        return f"input {after.name!r} has another shape"
    stricter = after.required and not before.required
    return f"input {after.name!r} was optional and is now required" if stricter else ""


def _output_problem(before: Column, after: Column | None) -> str:
    name = f"output {before.name!r}" if before.name else "the output"
    if after is None:
        return f"{name} is gone"
    if after.type != before.type and before.type not in _WIDER.get(after.type, ()):
        return f"{name} was {before.type} and is now {after.type}"
    if after.shape != before.shape:
        return f"{name} had shape {_shape(before)} and has now {_shape(after)}"
    return f"{name} was always there and is now optional" if before.required and not after.required else ""


def _shape(column: Column) -> str:
    return "of a column" if column.shape is None else str(column.shape).replace("-1", "rows")


def lossy_columns(content: Any, batch: Batch) -> list[str]:
    """Columns of the example that the signature drops, or whose numbers it rounds.

    Args:
        content: The example as logged, in one of MLflow's four shapes.
        batch: The example after conversion by the signature.

    Returns:
        Names in quotes.
    """
    given = _columns(content, batch)
    return [repr(name) for name, values in given.items() if name not in batch or not _kept(values, batch[name])]


def _columns(content: Any, batch: Batch) -> Mapping[str, Any]:
    if "dataframe_split" in content:
        split = content["dataframe_split"]
        return dict(zip(split.get("columns", batch), zip(*split["data"], strict=True), strict=True))
    given = next(content[shape] for shape in ("dataframe_records", "instances", "inputs") if shape in content)
    if isinstance(given, list) and isinstance(given[0], dict):
        return {name: [row.get(name) for row in given] for name in dict.fromkeys(chain(*given))}
    return given if isinstance(given, dict) else dict.fromkeys(batch, given)


def _kept(given: Any, values: NDArray[Any]) -> bool:
    """Whether every number is unchanged; texts and times are never changed, only refused."""
    before = np.array(given, dtype=object).ravel()  # as Python's own numbers, which compare exactly
    return all(
        kept == value
        for value, kept in zip(before, values.ravel().tolist(), strict=True)
        if isinstance(value, int | float)
    )


_log = logging.getLogger(__name__)


class SignatureOptions(GateOptions):
    """No options of its own."""


@dataclass(frozen=True, slots=True)
class SignatureGate:
    """Demands a signature, an input example that scores without loss, and compatibility with today's clients.

    Clients send the champion's inputs and read its outputs. Inputs that only the champion takes are compatible:
    scorers ignore columns that the signature does not name.
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
        """The problem of the input example, or None."""
        try:
            batch = golden_batch(candidate.snapshot.path)
        except InvalidInput as exc:
            message = f"The input example does not fit the signature: {exc}."
            return failed(self.name, "example_does_not_fit", message)
        if batch is None or not row_count(batch):
            message = "The model has no input example; log it with input_example=inputs.head(5)."
            return failed(self.name, "no_example", message)
        lossy = lossy_columns(golden_content(candidate.snapshot.path), batch)
        if lossy:
            message = (
                f"The signature drops or rounds values of the input example in {listing(lossy)}, and would do so "
                "with clients' inputs. Infer it from the training rows, with every column."
            )
            return failed(self.name, "example_loses_values", message, {"lossy_inputs": len(lossy)})
        return self._scores(candidate, batch)

    def _scores(self, candidate: Candidate, batch: Batch) -> Verdict | None:
        scorer = candidate.scorer  # one that does not load is an ERROR of the gate, not a verdict on the example
        try:
            answered = rows_of(scorer.predict(batch))
        except Exception as exc:  # a model's code may raise anything
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
        message = f"The input example scores, and clients of version {version} can call it.{words}"
        return passed(self.name, message, figures)

    def _breaks(
        self, before: Signature, after: Signature, version: int, figures: dict[str, Figure]
    ) -> Verdict | None:
        """The verdict where the champion's clients would break, else None."""
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
