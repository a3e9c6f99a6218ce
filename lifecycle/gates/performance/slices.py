"""Slices of the rows by column values, each judged separately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.domain.charts import Bar, BarChart
from lifecycle.domain.verdict import Figure
from lifecycle.gates.contract import listing
from lifecycle.gates.performance.metrics import MeasuredMetric
from lifecycle.gates.performance.options import PerformanceOptions
from lifecycle.gates.performance.targets import LabelledRows, Unmeasurable
from lifecycle.statistics.distances import holm
from lifecycle.statistics.intervals import one_sided_p

MAX_SLICES = 1000
"""A column with more distinct values, such as an identifier, is not useful for slices."""
_MAX_NUMBERS = 20  # a number with more distinct values is divided into quarters
_NAME_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Slice:
    """A slice of the rows.

    Attributes:
        column: The column of the slice.
        name: Such as ``carrier = AA``; one line. Only for slices of many rows, since a value
            of few rows may identify a person.
        rows: Row numbers, ascending.
    """

    column: str
    name: str
    rows: NDArray[np.int64]


def slices_of(values: pd.Series[Any]) -> list[Slice]:
    """The slices of one column: by value, or by quarters for numbers and times with many values.

    Rows without a value form their own slice. Quarters are not named by their bounds, which are the values
    of single rows.

    Raises:
        Unmeasurable: no values, too many distinct ones, or values that cannot be compared.
    """
    column = str(values.name)
    if values.isna().all():
        raise Unmeasurable("slice_column_empty", f"column {column!r} has nothing but nulls")
    try:
        codes, different = pd.factorize(values)
    except TypeError as exc:  # lists and the like
        raise Unmeasurable("slice_column_unusable", f"the values of column {column!r} cannot be compared") from exc
    if len(different) > _MAX_NUMBERS and _is_scale(values):
        codes, names = _quarters(values, codes)
    elif len(different) > MAX_SLICES:
        message = f"column {column!r} has {len(different):,} different values; at most {MAX_SLICES:,} make sense"
        raise Unmeasurable("too_many_slices", message)
    else:
        names = [f" = {_shown(value)}" for value in different]
    return [
        Slice(column, f"{column}{names[code] if code >= 0 else ' is missing'}", rows)
        for code in range(-1, len(names))
        if len(rows := np.flatnonzero(codes == code))
    ]


def _is_scale(values: pd.Series[Any]) -> bool:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return numeric or pd.api.types.is_datetime64_any_dtype(values)


def _quarters(values: pd.Series[Any], codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Codes and names of quarters with equal numbers of rows; fewer if one value fills more than a quarter."""
    present = codes >= 0
    order = values[present].rank(method="dense").to_numpy().astype(np.int64)
    bounds = np.unique(np.quantile(order, (0.25, 0.5, 0.75), method="higher"))
    _, parts = np.unique(np.searchsorted(bounds, order), return_inverse=True)
    found = np.full(len(codes), -1, dtype=np.int64)
    found[present] = parts
    count = int(parts.max()) + 1
    ends = {0: " (lowest)", count - 1: " (highest)"} if count > 1 else {}
    return found, [f", part {i + 1} of {count}{ends.get(i, '')}" for i in range(count)]


def _shown(value: object) -> str:
    """A value as one line of text."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 1]}…"


MIN_SUPPORT = 10
"""Least rows of each class in a slice, for metrics that compare classes; with fewer nothing is significant."""


@dataclass(frozen=True, slots=True)
class SliceResult:
    """Result of one slice.

    Attributes:
        ours, champion: Measured on the slice; without champion where there is none to compare with.
        missed: Whether it misses the limit significantly.
        dropped: Whether it is significantly worse than the champion allows.
        within_chance: Whether it misses a limit, but not significantly.
    """

    slice: Slice
    ours: MeasuredMetric
    champion: MeasuredMetric | None
    missed: bool = False
    dropped: bool = False
    within_chance: bool = False

    @property
    def failed(self) -> bool:
        """Whether the slice fails the gate."""
        return self.missed or self.dropped

    def loss_to(self, whole: MeasuredMetric) -> float:
        """Loss against the champion or, without one, against the model on all rows."""
        return self.ours.loss_to(self.champion.value if self.champion else whole.value)


def check_slices(
    slices: Sequence[Slice], ours: MeasuredMetric, champion: MeasuredMetric | None, options: PerformanceOptions
) -> list[SliceResult]:
    """Judge the slices that can be judged; worst first.

    A slice fails when it misses a limit significantly. The hypothesis that it is at the limit, or as good as
    the champion, is tested jointly for all slices, so that with probability ``options.confidence``
    no slice fails of a model that is equally good everywhere.
    """
    results = [r for s in slices if len(s.rows) >= options.min_slice_rows and (r := _measure(s, ours, champion))]
    tests = [test for index, result in enumerate(results) for test in _tests(index, result, options)]
    believed = holm([test.chance for test in tests], 1 - options.confidence)
    for test, sure in zip(tests, believed, strict=True):
        if test.beyond:
            result = results[test.index]
            results[test.index] = replace(
                result,
                missed=result.missed or (sure and not test.paired),
                dropped=result.dropped or (sure and test.paired),
                within_chance=result.within_chance or not sure,
            )
    return sorted(results, key=lambda r: (not r.failed, -r.loss_to(ours), r.slice.name))


@dataclass(frozen=True, slots=True)
class _Test:
    """Test of one slice against one limit."""

    index: int
    paired: bool
    beyond: bool
    chance: float


def _tests(index: int, result: SliceResult, options: PerformanceOptions) -> Iterator[_Test]:
    ours, champion = result.ours, result.champion
    if options.slice_limit is not None:
        shortfall = ours.loss_to(options.slice_limit)
        yield _Test(index, False, shortfall > 0, one_sided_p(shortfall, ours.influence, ours.support))
    if options.slice_drop is not None and champion is not None:
        drop, support = ours.loss_to(champion.value), min(ours.support, champion.support)
        paired = ours.influence - champion.influence
        yield _Test(index, True, drop > options.slice_drop, one_sided_p(drop, paired, support))


def _measure(part: Slice, ours: MeasuredMetric, champion: MeasuredMetric | None) -> SliceResult | None:
    """The metric on a slice; None with too few rows or without a value."""
    if min(m.metric.support(m.answers.at(part.rows)) for m in (ours, champion) if m) < MIN_SUPPORT:
        return None
    try:
        return SliceResult(part, ours.at(part.rows), champion.at(part.rows) if champion else None)
    except Unmeasurable:
        return None


_MOST_BARS = 40


@dataclass(frozen=True)
class SlicedRows:
    """Results of all slices.

    Attributes:
        options: The demands on slices.
        slices: All of them.
        results: Results of judged slices, worst first.
        unsliced: The first column that could not be sliced, and why.
    """

    options: PerformanceOptions
    slices: Sequence[Slice]
    results: Sequence[SliceResult]
    unsliced: Unmeasurable | None = None

    @property
    def missed(self) -> list[SliceResult]:
        """Slices that miss the limit."""
        return [result for result in self.results if result.missed]

    @property
    def dropped(self) -> list[SliceResult]:
        """Slices that are worse than the champion."""
        return [result for result in self.results if result.dropped]

    @property
    def unjudged_columns(self) -> list[str]:
        """Columns without any judged slice."""
        judged = {result.slice.column for result in self.results}
        return [column for column in dict.fromkeys(s.column for s in self.slices) if column not in judged]

    def figures(self) -> Mapping[str, Figure]:
        """Counts, demands, and the worst slice by name; judged slices have too many rows to identify a person."""
        o = self.options
        demanded = {"slice_min": o.slice_min, "slice_max": o.slice_max, "max_slice_drop": o.slice_drop}
        judged_rows = sum(len(result.slice.rows) for result in self.results)
        counts: dict[str, Figure] = {
            "slices_judged": len(self.results),
            "slices_unjudged": len(self.slices) - len(self.results),
            "rows_in_unjudged_slices": sum(len(s.rows) for s in self.slices) - judged_rows,
            "slices_failed": sum(result.failed for result in self.results),
            "slices_within_chance": sum(result.within_chance for result in self.results),
            "min_slice_rows": o.min_slice_rows,
            **{name: limit for name, limit in demanded.items() if limit is not None},
        }
        if self.results:
            counts |= {"worst_slice": self.results[0].slice.name, "worst_slice_value": self.results[0].ours.value}
        return counts

    def charts(self) -> Iterator[BarChart]:
        """One chart per column, worst slices first."""
        for column in self.options.by:
            bars = [self._bar(result) for result in self.results if result.slice.column == column]
            if bars:
                more = f", the worst {_MOST_BARS} of {len(bars)} slices" if len(bars) > _MOST_BARS else ""
                title = f"{self.options.metric} by {column}{more}"
                yield BarChart(title, tuple(bars[:_MOST_BARS]), self.options.slice_limit)

    def _bar(self, result: SliceResult) -> Bar:
        champion = f", champion {result.champion.value:.4f}" if result.champion else ""
        low, high = result.ours.interval(self.options.confidence) or (None, None)
        note = f"{len(result.slice.rows):,} rows{champion}"
        return Bar(result.slice.name, result.ours.value, low, high, note, result.failed)


def slice_rows(
    options: PerformanceOptions, rows: LabelledRows, ours: MeasuredMetric, champion: MeasuredMetric | None
) -> SlicedRows:
    """Slice the rows by every column of ``by`` and judge each slice."""
    slices: list[Slice] = []
    unsliced: Unmeasurable | None = None
    for column in options.by:
        try:
            if column != rows.label and column not in rows.frame:
                raise Unmeasurable("slice_column_missing", f"{rows.source} has no column {column!r}")
            values = pd.Series(rows.labels, name=column) if column == rows.label else rows.frame[column]
            slices += slices_of(values)
        except Unmeasurable as exc:
            unsliced = unsliced or exc
    return SlicedRows(options, slices, check_slices(slices, ours, champion, options), unsliced)


def shown_slices(results: Sequence[SliceResult]) -> str:
    """Slices as text, such as ``carrier = AA (0.6123 on 1,234 rows)``."""
    shown = []
    for r in results:
        was = f", champion {r.champion.value:.4f}," if r.champion else ""
        shown.append(f"{r.slice.name} ({r.ours.value:.4f}{was} on {len(r.slice.rows):,} rows)")
    return listing(shown, limit=3)
