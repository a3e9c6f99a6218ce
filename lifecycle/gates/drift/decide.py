"""Decides on drift: the options, a result per column, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from pydantic import Field

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, broke, failed, inconclusive, listing, passed, percent
from lifecycle.gates.drift.columns import ColumnDrift, ColumnStatus, ShareChange, ValueDrift
from lifecycle.statistics.distances import benjamini_hochberg


class DriftOptions(GateOptions):
    """Rows and columns to compare, and limits of change."""

    current: str | None = Field(default=None, description="Today's rows: a file, a directory, a glob or a query.")
    columns: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="Columns to compare; by default the model's inputs."
    )
    leave_out: tuple[str, ...] | None = Field(
        default=None, description="Columns not to compare, such as one that counts months."
    )
    drift_distance: float = Field(default=0.1, ge=0, le=100, description="A column further away has drifted.")
    max_drifted_share: float = Field(
        default=0.3, ge=0, lt=1, description="Largest share of columns that may have drifted."
    )
    max_column_distance: float = Field(
        default=0.6, ge=0, allow_inf_nan=False, description="No single column may be further away."
    )
    max_null_change: float = Field(
        default=0.1, ge=0, lt=1, description="No column's share of nulls may change by more."
    )
    max_new_category_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="No column may have a larger share of rows in categories that the reference lacks.",
    )
    max_prediction_distance: float | None = Field(
        default=0.3,
        ge=0,
        allow_inf_nan=False,
        description="The model's predictions may be no further away; null to not compare them.",
    )
    max_target_distance: float | None = Field(
        default=0.2,
        ge=0,
        allow_inf_nan=False,
        description="The labels may be no further away, where both sides have them; null to not compare them.",
    )
    false_discovery_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Share of the findings that may be chance, over all columns."
    )
    min_rows: int = Field(default=500, ge=1, description="Rows needed on either side.")
    sample_rows: int = Field(
        default=5_000,
        ge=1,
        description="Rows that the model scores, and that Evidently's report shows, on either side.",
    )
    seed: int = Field(
        default=0, ge=0, description="Seed of that sample, and of the random splits that measure chance."
    )


MOST_CHANCE = 0.3
"""Where the distance by chance alone exceeds this, a column without significant drift is unjudged."""


@dataclass(frozen=True, slots=True)
class ColumnResult:
    """One column's status, and the reason in words for people; empty where it is steady."""

    column: ColumnDrift
    finding: ColumnStatus
    why: str

    @property
    def words(self) -> str:
        """Name of the column and reason."""
        return f"{self.column.name!r} ({self.why})" if self.why else repr(self.column.name)

    @property
    def moved(self) -> bool:
        """Whether the column counts as drifted."""
        return self.finding in (ColumnStatus.DRIFTED, ColumnStatus.BEYOND)

    @property
    def distance(self) -> float:
        """Distance as Evidently measures it; 0 where none was measured."""
        return self.column.values.distance if self.column.values else 0.0

    @property
    def p(self) -> float:
        """P-value of the distance; 1 where none was measured."""
        return self.column.values.chance.p if self.column.values else 1.0

    def rank(self) -> tuple[bool, bool, float]:
        """Sort key: columns that moved most come first."""
        beyond = self.column.values.beyond if self.column.values else 0.0
        return not self.moved, self.finding is not ColumnStatus.BEYOND, -beyond


@dataclass(frozen=True, slots=True)
class DriftResults:
    """Results of all inputs, labels and predictions."""

    columns: tuple[ColumnResult, ...]
    labels: tuple[ColumnResult, ...]
    answers: tuple[ColumnResult, ...]

    @property
    def counted(self) -> tuple[ColumnResult, ...]:
        """The columns that are not empty on both sides."""
        return tuple(found for found in self.columns if found.finding is not ColumnStatus.EMPTY)

    @property
    def drifted_share(self) -> float:
        """Share of the ``counted`` columns that drifted, 0 to 1."""
        return sum(found.moved for found in self.counted) / max(1, len(self.counted))


def find(
    columns: tuple[ColumnDrift, ...],
    labels: tuple[ColumnDrift, ...],
    answers: tuple[ColumnDrift, ...],
    options: DriftOptions,
) -> DriftResults:
    """Judge every column.

    Each comparison (of values, of nulls, of infinite values) is one test among all, corrected together by
    Benjamini-Hochberg.
    """
    together = (*columns, *labels, *answers)
    asked = [p for column in together for p in _tests(column).values()]
    answered = iter(benjamini_hochberg(asked, options.false_discovery_rate))

    def judged(column: ColumnDrift, distance: float | None = None) -> ColumnResult:
        """Of inputs two limits of the distance apply; of labels and predictions one."""
        stands_out = {question: next(answered) for question in _tests(column)}
        limits = options
        if distance is not None:
            limits = options.model_copy(update={"drift_distance": distance, "max_column_distance": distance})
        return ColumnResult(column, *_finding(column, limits, stands_out))

    return DriftResults(
        tuple(judged(column) for column in columns),
        tuple(judged(column, options.max_target_distance) for column in labels),
        tuple(judged(column, options.max_prediction_distance) for column in answers),
    )


def _tests(column: ColumnDrift) -> dict[str, float]:
    """P-values of a column's tests, by test name."""
    shares = {"nulls": column.nulls, "infinite": column.infinite}
    asked = {question: share.p for question, share in shares.items() if share}
    return asked | ({"values": column.values.chance.p} if column.values else {})


def _finding(column: ColumnDrift, limits: DriftOptions, stands_out: dict[str, bool]) -> tuple[ColumnStatus, str]:
    if column.problem in (ColumnStatus.BROKE, ColumnStatus.EMPTY, ColumnStatus.OTHER_KIND):
        return column.problem, column.why
    if column.nulls and stands_out["nulls"] and column.nulls.change > limits.max_null_change:
        return ColumnStatus.BEYOND, f"nulls: {_change(column.nulls)}"
    infinite = column.infinite  # one is too many where the reference has none: the model has never seen one
    if infinite and (not infinite.before or (stands_out["infinite"] and infinite.change > limits.max_null_change)):
        return ColumnStatus.BEYOND, f"infinite values: {_change(infinite)}"
    if column.values is None:
        return ColumnStatus.UNJUDGED, column.why
    return _of_values(column.values, limits, stands_out["values"])


def _change(share: ShareChange) -> str:
    return f"{percent(share.before)}, now {percent(share.now)}"


def _of_values(values: ValueDrift, limits: DriftOptions, significant: bool) -> tuple[ColumnStatus, str]:
    words = f"{values.distance:.2f}, chance gives {values.chance.distance:.2f}"
    if not significant:
        if values.chance.distance > MOST_CHANCE:
            return ColumnStatus.UNJUDGED, f"chance alone gives a distance of {values.chance.distance:.2f}"
        return ColumnStatus.STEADY, ""
    if values.new > limits.max_new_category_share:
        new = f"{percent(values.new)} of the rows in categories new to the reference"
        return ColumnStatus.BEYOND, f"{words}; {new}"
    if values.beyond > limits.max_column_distance:
        return ColumnStatus.BEYOND, words
    if values.beyond > limits.drift_distance:
        return ColumnStatus.DRIFTED, words
    return ColumnStatus.STEADY, ""


_GATE = "drift"
_LISTED = 7  # columns whose distances and p-values are among the figures


def decide(findings: DriftResults, source: str, options: DriftOptions) -> Verdict:
    """The verdict: failures before errors, and errors before columns that could not be judged."""
    drifted = _moved(findings.counted)
    moved = f"{len(drifted)} of {len(findings.counted)} columns of {source} have drifted"
    summary = f"{moved} ({percent(findings.drifted_share)})"
    problems = _incomparable(findings, source), _failures(findings, summary, options), _gaps(findings, summary)
    verdict = next(chain.from_iterable(problems), None)
    if verdict is None:
        named = f": {listing(drifted)}" if drifted else ""
        allowed = f"at most {percent(options.max_drifted_share)} are allowed"
        verdict = passed(_GATE, f"{summary}; {allowed}{named}.")
    return replace(verdict, figures=_figures(findings, options) | dict(verdict.figures))


def _incomparable(findings: DriftResults, source: str) -> Iterator[Verdict]:
    if changed := _words((*findings.columns, *findings.labels), ColumnStatus.OTHER_KIND):
        message = (
            f"{source} holds other kinds of values than the reference in: {listing(changed)}. "
            "If it is a CSV file, give Parquet, which keeps types."
        )
        yield failed(_GATE, "type_changed", message, {"changed_columns": len(changed)})
    if not findings.counted:
        message = "There is nothing to compare: every column is all null on both sides."
        yield inconclusive(_GATE, "no_values", message)


def _failures(findings: DriftResults, summary: str, options: DriftOptions) -> Iterator[Verdict]:
    allowed = options.max_drifted_share
    if findings.drifted_share > allowed:
        drifted = listing(_moved(findings.counted))
        message = f"{summary}; at most {percent(allowed)} are allowed. Drifted: {drifted}. Retrain on newer rows."
        yield failed(_GATE, "share_exceeded", message)
    if beyond := _words(findings.counted, ColumnStatus.BEYOND):
        message = (
            f"{summary}, and these exceed the limit of a single column: {listing(beyond)}. "
            "If that is intended, add them to 'leave_out'; else fix the data, or retrain on newer rows."
        )
        yield failed(_GATE, "column_exceeded", message)
    for what, reason, found, limit in (
        ("labels", "target_drifted", findings.labels, options.max_target_distance),
        ("model's predictions", "predictions_drifted", findings.answers, options.max_prediction_distance),
    ):
        if moved := _moved(found):
            message = f"{summary}, but the {what} are further away than {limit:g}: {listing(moved)}."
            yield failed(_GATE, reason, f"{message} Retrain on newer rows.")


def _gaps(findings: DriftResults, summary: str) -> Iterator[Verdict]:
    rows = (*findings.counted, *findings.labels)
    if broken := _words(rows, ColumnStatus.BROKE):
        yield broke(_GATE, "column_broke", f"{summary}, but comparing broke on {listing(broken)}.")
    if broken := _words(findings.answers, ColumnStatus.BROKE):
        message = f"{summary}, but the model broke on a sample of the rows: {listing(broken)}."
        yield broke(_GATE, "predictions_broke", message)
    if unjudged := _words(rows, ColumnStatus.UNJUDGED):
        message = (
            f"{summary}, but these cannot be judged: {listing(unjudged)}. Give more rows, "
            "or put the columns into 'leave_out'."
        )
        yield inconclusive(_GATE, "columns_unjudged", message)
    silent = (ColumnStatus.UNJUDGED, ColumnStatus.EMPTY)
    if unjudged := [found.words for found in findings.answers if found.finding in silent]:
        message = (
            f"{summary}, but the model's predictions cannot be judged: {listing(unjudged)}. "
            "Give rows that it can score, or set 'max_prediction_distance' to null."
        )
        yield inconclusive(_GATE, "predictions_unjudged", message)


def _moved(found: Iterable[ColumnResult]) -> list[str]:
    return [one.words for one in sorted(found, key=ColumnResult.rank) if one.moved]


def _words(found: Iterable[ColumnResult], finding: ColumnStatus) -> list[str]:
    return [one.words for one in sorted(found, key=ColumnResult.rank) if one.finding is finding]


def _figures(findings: DriftResults, options: DriftOptions) -> dict[str, Figure]:
    counted = findings.counted
    return {
        "columns": len(counted),
        "drifted": len(_moved(counted)),
        "drifted_share": findings.drifted_share,
        "max_drifted_share": options.max_drifted_share,
        "beyond_limit": len(_words(counted, ColumnStatus.BEYOND)),
        "max_column_distance": options.max_column_distance,
        "sample_rows": options.sample_rows,
        "seed": options.seed,
        **_largest("target_distance", findings.labels),
        **_largest("prediction_distance", findings.answers),
        **{f"distance.{one.column.name}": _rounded(one.distance) for one in _measured(counted)[:_LISTED]},
        **{f"p.{one.column.name}": float(f"{one.p:.2g}") for one in _measured(counted)[:_LISTED]},
    }


def _largest(name: str, found: Iterable[ColumnResult]) -> dict[str, Figure]:
    measured = _measured(found)
    return {name: _rounded(measured[0].distance)} if measured else {}


def _measured(found: Iterable[ColumnResult]) -> list[ColumnResult]:
    return [one for one in sorted(found, key=ColumnResult.rank) if one.column.values]


def _rounded(distance: float) -> float:
    return float(f"{distance:.4g}")
