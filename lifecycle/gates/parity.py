"""The parity gate: whether the compiled scorer predicts what the model itself predicts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lifecycle.data.dataset import Dataset
from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, failed, inconclusive, passed, percent, too_few_rows
from lifecycle.gates.subject import Candidate, Subject, ask, batches_of, has_values
from lifecycle.scoring.compile import convert
from lifecycle.scoring.compilers.contract import NotCompilable
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.equality import by_name, prediction_differences
from lifecycle.scoring.signature import InvalidInput, NoSignature

_log = logging.getLogger(__name__)
Differences = NDArray[np.float64]


class ParityOptions(GateOptions):
    """Tolerances of the comparison."""

    tolerance: float = Field(
        default=1e-6,
        ge=0,
        allow_inf_nan=False,
        description="Largest difference between two predictions of a row, relative for values above 1.",
    )
    max_differing_share: float = Field(
        default=0.0, ge=0, lt=1, description="Largest share of rows that may differ by more."
    )
    min_rows: int = Field(default=100, ge=1, description="Rows needed to judge.")
    max_rows: int = Field(default=100_000, ge=1, description="Rows to score at most, drawn at random.")
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


@dataclass(frozen=True, slots=True)
class ParityGate:
    """Scores the reference rows twice with pyfunc, and with the scorer that promotion compiles.

    Classes and texts must be the same. Numbers may differ by the tolerance: compiled trees add up float32 leaves.
    Two missing predictions are equal. Without reference rows the current rows are used.
    """

    Options: ClassVar[type[GateOptions]] = ParityOptions
    name: ClassVar[str] = "parity"
    before_loading: ClassVar[bool] = False

    options: ParityOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without rows or without a compiled form; FAILED if predictions differ."""
        rows = subject.current() if subject.reference is None else subject.reference
        if rows is None:
            message = "There are no rows to compare predictions on. Log some with lifecycle.track(reference)."
            return inconclusive(self.name, "no_rows", message)
        return too_few_rows(self.name, rows, self.options.min_rows) or self._on_rows(subject.candidate, rows)

    def _on_rows(self, candidate: Candidate, rows: Dataset) -> Verdict:
        frame = rows.sample(self.options.max_rows, self.options.seed)[list(rows.inputs)]
        try:
            batches = list(batches_of(frame, candidate.signature))
        except InvalidInput as exc:
            return inconclusive(self.name, "rows_do_not_fit", f"{rows.source} does not fit the signature: {exc}.")
        except NoSignature as exc:
            return inconclusive(self.name, "no_signature", f"{str(exc).capitalize()}.")
        if not any(map(has_values, batches)):
            return inconclusive(self.name, "no_values", f"Every input in {rows.source} is null in every row.")
        figures: dict[str, Figure] = {"rows": len(frame), "tolerance": self.options.tolerance}
        if len(frame) < rows.count:
            figures |= {"max_rows": self.options.max_rows, "seed": self.options.seed}
        return self._judge(candidate, batches, figures)

    def _judge(self, candidate: Candidate, batches: Sequence[Batch], figures: dict[str, Figure]) -> Verdict:
        pyfunc = candidate.scorer  # before anything else is loaded, as it refuses if loading is forbidden
        expected = [ask(pyfunc, batch) for batch in batches]
        again = _all_differences(expected, [ask(pyfunc, batch) for batch in batches])
        if self._differing(again):
            message = (
                f"Scored twice, the model itself predicts {self._differing(again):,} of {len(again):,} rows "
                "differently, so no other scorer can equal it. Take the randomness out of its predict."
            )
            return failed(self.name, "not_deterministic", message, figures | self._measured(again))
        if not any(has_values(by_name(answers)) for answers in expected):
            message = "The model predicts a missing value for every row, so nothing can be compared."
            return inconclusive(self.name, "no_predictions", message, figures)
        return self._against_compiled(candidate, batches, expected, figures)

    def _against_compiled(
        self,
        candidate: Candidate,
        batches: Sequence[Batch],
        expected: Sequence[Predictions],
        figures: dict[str, Figure],
    ) -> Verdict:
        try:
            compiled = _compiled(candidate, expected[0])
        except NotCompilable as exc:
            message = (
                f"There is no compiled scorer to compare with: {exc}. Targets serve this version with pyfunc; "
                "leave parity out of the gates of such models."
            )
            return inconclusive(self.name, "not_compilable", message, figures)
        try:
            got = [compiled.predict(batch) for batch in batches]
        except Exception as exc:  # onnxruntime's exceptions have no common base class
            _log.debug("the compiled scorer raises", exc_info=True)
            message = f"The compiled scorer raises {type(exc).__name__} on rows that the model itself scores."
            return failed(self.name, "compiled_raises", message, figures)
        finally:
            compiled.close()
        return self._compare(_all_differences(expected, got), figures)

    def _compare(self, differences: Differences, figures: dict[str, Figure]) -> Verdict:
        rows, differing = len(differences), self._differing(differences)
        figures = figures | self._measured(differences)
        if differing / rows > self.options.max_differing_share:
            message = (
                f"The compiled scorer predicts {differing:,} of {rows:,} rows ({percent(differing / rows)}) "
                f"differently than the model itself, by more than {self.options.tolerance:g}. Log it with inputs "
                "of type double, or leave parity out and have pyfunc serve it."
            )
            return failed(self.name, "differs", message, figures)
        message = (
            f"The compiled scorer predicts {rows - differing:,} of {rows:,} rows as the model itself does, "
            f"within {self.options.tolerance:g}."
        )
        return passed(self.name, message, figures)

    def _differing(self, differences: Differences) -> int:
        return int((differences > self.options.tolerance).sum())

    def _measured(self, differences: Differences) -> dict[str, Figure]:
        """Number of rows that differ, and the largest numeric difference."""
        measured: dict[str, Figure] = {"differing_rows": self._differing(differences)}
        largest = float(differences.max())
        return measured | ({"largest_difference": largest} if np.isfinite(largest) else {})


def _compiled(candidate: Candidate, expected: Predictions) -> Scorer:
    """Raises NotCompilable."""
    from lifecycle.scoring.onnx_scorer import OnnxScorer

    compiled = convert(candidate.snapshot, expected)
    try:
        return OnnxScorer(compiled)
    except Exception as exc:  # onnxruntime's exceptions have no common base class
        _log.debug("the compiled model does not load", exc_info=True)
        raise NotCompilable(f"ONNX Runtime does not load the compiled model ({type(exc).__name__})") from exc


def _all_differences(expected: Sequence[Predictions], got: Sequence[Predictions]) -> Differences:
    return np.concatenate([prediction_differences(*pair) for pair in zip(expected, got, strict=True)])
