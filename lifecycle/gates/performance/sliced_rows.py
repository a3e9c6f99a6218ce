"""The slices of one gate run: what was found on them, in figures and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lifecycle.domain.charts import Bar, BarChart
from lifecycle.domain.verdict import Figure
from lifecycle.gates.performance.answers import Unmeasurable
from lifecycle.gates.performance.measured import Measured
from lifecycle.gates.performance.options import PerformanceOptions
from lifecycle.gates.performance.scored_rows import LabelledRows
from lifecycle.gates.performance.slice_check import SliceLimits, SliceResult, check_slices
from lifecycle.gates.performance.slices import Slice, slices_of
from lifecycle.gates.verdicts import listing

_MOST_BARS = 40


@dataclass(frozen=True)
class SlicedRows:
    """What was found.

    Attributes:
        options: What was demanded of the slices.
        slices: All of them.
        results: Those that could be judged, worst first.
        unsliced: The first column that could not be sliced, and why.
    """

    options: PerformanceOptions
    slices: Sequence[Slice]
    results: Sequence[SliceResult]
    unsliced: Unmeasurable | None = None

    @property
    def missed(self) -> list[SliceResult]:
        """Those beyond the limit."""
        return [result for result in self.results if result.missed]

    @property
    def dropped(self) -> list[SliceResult]:
        """Those that are worse than the champion."""
        return [result for result in self.results if result.dropped]

    @property
    def unjudged_columns(self) -> list[str]:
        """Columns of which no slice could be judged."""
        judged = {result.slice.column for result in self.results}
        return [column for column in dict.fromkeys(s.column for s in self.slices) if column not in judged]

    def figures(self) -> Mapping[str, Figure]:
        """Counts, demands, and the worst slice by name: a judged slice has too many rows to be anyone's."""
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
        """One for each column, worst slices first."""
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
    options: PerformanceOptions, rows: LabelledRows, ours: Measured, champion: Measured | None
) -> SlicedRows:
    """Divide the rows by every column of ``by`` and judge each part."""
    slices: list[Slice] = []
    unsliced: Unmeasurable | None = None
    for column in options.by:
        try:
            slices += slices_of(_column(rows, column))
        except Unmeasurable as exc:
            unsliced = unsliced or exc
    limits = SliceLimits(options.slice_limit, options.slice_drop, options.min_slice_rows, options.confidence)
    return SlicedRows(options, slices, check_slices(slices, ours, champion, limits), unsliced)


def _column(rows: LabelledRows, name: str) -> pd.Series[Any]:
    if name == rows.label:
        return pd.Series(rows.labels, name=name)
    if name not in rows.frame:
        raise Unmeasurable("slice_column_missing", f"{rows.source} has no column {name!r}")
    return rows.frame[name]


def told(results: Sequence[SliceResult]) -> str:
    """Slices for people, such as ``carrier = AA (0.6123 on 1,234 rows)``."""
    return listing([f"{r.slice.name} ({_values(r)} on {len(r.slice.rows):,} rows)" for r in results], limit=3)


def _values(result: SliceResult) -> str:
    was = f", champion {result.champion.value:.4f}," if result.champion else ""
    return f"{result.ours.value:.4f}{was}"
