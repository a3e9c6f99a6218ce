"""One version's metric on labelled rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from lifecycle.gates.performance.answers import Answers
from lifecycle.gates.performance.metrics import Metric
from lifecycle.gates.performance.scored_rows import LabelledRows, predictions_of
from lifecycle.gates.subject import Candidate
from lifecycle.statistics.intervals import confidence_interval


@dataclass(frozen=True)
class Measured:
    """A version's metric: its value, and what that comes from."""

    version: int
    metric: Metric
    answers: Answers
    value: float

    @property
    def support(self) -> int:
        """How many rows it rests on."""
        return self.metric.support(self.answers)

    @cached_property
    def influence(self) -> NDArray[Any]:
        """By how much each row moves it. Not for a metric that a single row decides."""
        assert self.metric.influence is not None  # noqa: S101  # the options refuse slices for such a metric
        return self.metric.influence(self.answers)

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Its confidence interval; None where a single row decides."""
        if self.metric.influence is None:
            return None
        return confidence_interval(self.value, self.influence, confidence, self.metric.bounds)

    def loss_to(self, other: float) -> float:
        """How much worse than ``other`` it is; negative where it is better."""
        return other - self.value if self.metric.higher_is_better else self.value - other

    def support_at(self, rows: NDArray[Any]) -> int:
        """How many of these rows the metric would rest on."""
        return self.metric.support(self.answers.at(rows))

    def at(self, rows: NDArray[Any]) -> Measured:
        """The same on some of the rows. Raises Unmeasurable."""
        answers = self.answers.at(rows)
        return replace(self, answers=answers, value=self.metric.value(answers))


def measure_version(metric: Metric, version: Candidate, rows: LabelledRows) -> Measured:
    """What a version answers to the rows, measured.

    Raises:
        NoSignature, InvalidInput: it cannot score them.
        Unmeasurable: its answers have no such metric.
    """
    answers = metric.answers(rows.labels, predictions_of(version, rows.frame))
    return Measured(version.version.version, metric, answers, metric.value(answers))
