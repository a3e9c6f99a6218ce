"""From what was measured to what is said of each column: by effect, where it is more than chance."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lifecycle.gates.drift.columns import Column, Finding, Share
from lifecycle.gates.drift.options import DriftOptions
from lifecycle.gates.drift.values import Values
from lifecycle.gates.verdicts import percent
from lifecycle.statistics.chance import benjamini_hochberg

MOST_CHANCE = 0.3
"""Where chance alone makes a distance larger than this, nothing but a significant difference says anything."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one column may move.

    Attributes:
        drifted: Distance from which it has drifted.
        distance: Distance that it may not exceed.
        nulls: Largest change of the share of nulls, and of the share of infinite values.
        new: Largest share of the rows in categories that the reference lacks.
    """

    drifted: float
    distance: float
    nulls: float
    new: float

    def with_one(self, distance: float | None) -> Limits:
        """The same with one limit for the distance, and nothing short of it."""
        return self if distance is None else replace(self, drifted=distance, distance=distance)


@dataclass(frozen=True, slots=True)
class Judged:
    """One column's finding, and why, in words for people; empty where there is nothing to say."""

    column: Column
    finding: Finding
    why: str

    @property
    def words(self) -> str:
        """Its name and the reason."""
        return f"{self.column.name!r} ({self.why})" if self.why else repr(self.column.name)

    @property
    def moved(self) -> bool:
        """Whether it counts as drifted."""
        return self.finding in (Finding.DRIFTED, Finding.BEYOND)

    @property
    def distance(self) -> float:
        """As Evidently measures it; 0 where there is none."""
        return self.column.values.distance if self.column.values else 0.0

    @property
    def p(self) -> float:
        """How likely chance makes such a distance."""
        return self.column.values.chance.p if self.column.values else 1.0

    def rank(self) -> tuple[bool, bool, float]:
        """Sorts those first that moved most."""
        beyond = self.column.values.beyond if self.column.values else 0.0
        return not self.moved, self.finding is not Finding.BEYOND, -beyond


@dataclass(frozen=True, slots=True)
class Findings:
    """What can be said of the inputs, of the labels and of the model's answers."""

    columns: tuple[Judged, ...]
    labels: tuple[Judged, ...]
    answers: tuple[Judged, ...]

    @property
    def counted(self) -> tuple[Judged, ...]:
        """The columns that are not empty on both sides."""
        return tuple(found for found in self.columns if found.finding is not Finding.EMPTY)

    @property
    def drifted_share(self) -> float:
        """Of those."""
        return sum(found.moved for found in self.counted) / max(1, len(self.counted))


def find(
    columns: tuple[Column, ...], labels: tuple[Column, ...], answers: tuple[Column, ...], options: DriftOptions
) -> Findings:
    """One finding for each.

    Each question that was asked of the data (have the values changed? the nulls?) is one test among all of them:
    the more there are, the stronger the evidence has to be in each.
    """
    together = (*columns, *labels, *answers)
    asked = [p for column in together for p in _tests(column).values()]
    answered = iter(benjamini_hochberg(asked, options.false_discovery_rate))
    limits = Limits(
        options.drift_distance,
        options.max_column_distance,
        options.max_null_change,
        options.max_new_category_share,
    )

    def judged(column: Column, limits: Limits) -> Judged:
        stands_out = {question: next(answered) for question in _tests(column)}
        return Judged(column, *_finding(column, limits, stands_out))

    return Findings(
        tuple(judged(column, limits) for column in columns),
        tuple(judged(column, limits.with_one(options.max_target_distance)) for column in labels),
        tuple(judged(column, limits.with_one(options.max_prediction_distance)) for column in answers),
    )


def _tests(column: Column) -> dict[str, float]:
    """The questions that were asked of a column, each with its p-value."""
    shares = {"nulls": column.nulls, "infinite": column.infinite}
    asked = {question: share.p for question, share in shares.items() if share}
    return asked | ({"values": column.values.chance.p} if column.values else {})


def _finding(column: Column, limits: Limits, stands_out: dict[str, bool]) -> tuple[Finding, str]:
    if column.problem in (Finding.BROKE, Finding.EMPTY, Finding.OTHER_KIND):
        return column.problem, column.why
    if column.nulls and stands_out["nulls"] and column.nulls.change > limits.nulls:
        return Finding.BEYOND, f"nulls: {_words(column.nulls)}"
    if column.infinite and _out_of_bounds(column.infinite, limits, stands_out["infinite"]):
        return Finding.BEYOND, f"infinite values: {_words(column.infinite)}"
    if column.values is None:
        return Finding.UNJUDGED, column.why
    return _of_values(column.values, limits, stands_out["values"])


def _out_of_bounds(infinite: Share, limits: Limits, significant: bool) -> bool:
    """A single one is too many where the reference has none: no model has seen it, and no average survives it."""
    return not infinite.before or (significant and infinite.change > limits.nulls)


def _words(share: Share) -> str:
    return f"{percent(share.before)}, now {percent(share.now)}"


def _of_values(values: Values, limits: Limits, significant: bool) -> tuple[Finding, str]:
    words = f"{values.distance:.2f}, chance gives {values.chance.distance:.2f}"
    if not significant:
        if values.chance.distance > MOST_CHANCE:
            return Finding.UNJUDGED, f"chance alone gives a distance of {values.chance.distance:.2f}"
        return Finding.STEADY, ""
    if values.new > limits.new:
        return Finding.BEYOND, f"{words}; {percent(values.new)} of the rows in categories new to the reference"
    if values.beyond > limits.distance:
        return Finding.BEYOND, words
    if values.beyond > limits.drifted:
        return Finding.DRIFTED, words
    return Finding.STEADY, ""
