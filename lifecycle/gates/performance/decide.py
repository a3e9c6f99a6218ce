"""What the measured values mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from lifecycle.domain.charts import Bar, BarChart, Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.performance.measured import Measured
from lifecycle.gates.performance.options import PerformanceOptions
from lifecycle.gates.performance.scored_rows import LabelledRows
from lifecycle.gates.performance.sliced_rows import SlicedRows, told
from lifecycle.gates.verdicts import failed, inconclusive, listing, passed

_GATE = "performance"


@dataclass(frozen=True)
class PerformanceCase:
    """All that was measured.

    Attributes:
        champion: None where it is not asked for, not there or not measurable.
        obstacle: Why it should be there and is not.
    """

    options: PerformanceOptions
    rows: LabelledRows
    ours: Measured
    champion: Measured | None
    sliced: SlicedRows
    obstacle: Verdict | None

    def verdict(self) -> Verdict:
        """The first demand that is missed; else the first that could not be judged; else PASSED."""
        found = [*self._failures(), *self._slice_failures(), *self._gaps()]
        first = min(found, key=lambda v: v.outcome is not Outcome.FAILED, default=None)
        verdict = first or passed(_GATE, self._praise())
        return replace(verdict, figures=self._figures())

    def _failures(self) -> Iterator[Verdict]:
        options, champion, measured = self.options, self.champion, self._measured()
        if options.min is not None and self.ours.value < options.min:
            yield failed(_GATE, "below_min", f"{measured}; at least {options.min:g} is demanded.")
        if options.max is not None and self.ours.value > options.max:
            yield failed(_GATE, "above_max", f"{measured}; at most {options.max:g} is demanded.")
        allowed = options.max_drop_vs_champion
        if champion and allowed is not None and self.ours.loss_to(champion.value) > allowed:
            message = f"{measured}; {_compared(champion)}; {allowed:g} worse is allowed."
            yield failed(_GATE, "worse_than_champion", message)

    def _slice_failures(self) -> Iterator[Verdict]:
        options, sliced, measured = self.options, self.sliced, self._measured()
        where = f"on {len(sliced.missed)} of {len(sliced.results)} slices"
        if sliced.missed and options.slice_min is not None:
            message = f"{measured}, but less than {options.slice_min:g} {where}: {told(sliced.missed)}."
            yield failed(_GATE, "slice_below_min", message)
        if sliced.missed and options.slice_max is not None:
            message = f"{measured}, but more than {options.slice_max:g} {where}: {told(sliced.missed)}."
            yield failed(_GATE, "slice_above_max", message)
        if sliced.dropped and self.champion:
            message = (
                f"{measured}, but on {len(sliced.dropped)} of {len(sliced.results)} slices it is more than "
                f"{options.slice_drop:g} worse than version {self.champion.version}, the champion: "
                f"{told(sliced.dropped)}."
            )
            yield failed(_GATE, "slice_worse_than_champion", message)

    def _gaps(self) -> Iterator[Verdict]:
        if self.obstacle:
            yield self.obstacle
        if self.sliced.unsliced:
            why = self.sliced.unsliced
            yield inconclusive(_GATE, why.what, f"{self._measured()}, but not by slices: {why}.")
        if self.sliced.unjudged_columns:
            message = (
                f"{self._measured()}, but no slice by {listing(self.sliced.unjudged_columns)} can be judged: "
                f"a slice needs {self.options.min_slice_rows:,} rows, and for metrics of classes some of each. "
                "Give more rows, or lower min_slice_rows."
            )
            yield inconclusive(_GATE, "slices_too_small", message)

    def _praise(self) -> str:
        compared = f"; {_compared(self.champion)}" if self.champion else ", as demanded"
        judged = len(self.sliced.results)
        holds = f" It holds up on {judged} slices by {listing(self.options.by)}." if judged else ""
        small = len(self.sliced.slices) - judged
        rest = f" {small} more had too few rows to judge." if small else ""
        return f"{self._measured()}{compared}.{holds}{rest}"

    def _measured(self) -> str:
        return f"{self.options.metric} is {self.ours.value:.4f} on {len(self.rows):,} rows of {self.rows.source}"

    def _figures(self) -> dict[str, Figure]:
        options, champion, rows = self.options, self.champion, self.rows
        figures: dict[str, Figure] = {"metric": options.metric, "value": self.ours.value, "rows": len(rows)}
        interval = self.ours.interval(options.confidence)
        if interval:
            figures |= {"low": interval[0], "high": interval[1], "confidence": options.confidence}
        if len(rows) < rows.labelled:
            figures |= {"labelled_rows": rows.labelled, "max_rows": options.max_rows, "seed": options.seed}
        figures |= {name: limit for name in ("min", "max") if (limit := getattr(options, name)) is not None}
        if champion:
            figures |= {
                "champion_version": champion.version,
                "champion_value": champion.value,
                "drop": self.ours.loss_to(champion.value),
            }
        if champion and options.max_drop_vs_champion is not None:
            figures["max_drop"] = options.max_drop_vs_champion
        return figures | dict(self.sliced.figures()) if options.by else figures

    def charts(self) -> Iterator[Chart]:
        """The metric on all rows, then by each sliced column."""
        options, champion = self.options, self.champion
        bars = [self._bar("candidate", self.ours, bad=next(self._failures(), None) is not None)]
        bars += [self._bar(f"champion, version {champion.version}", champion)] if champion else []
        yield BarChart(f"{options.metric} on all rows", tuple(bars), options.limit)
        yield from self.sliced.charts()

    def _bar(self, label: str, measured: Measured, *, bad: bool = False) -> Bar:
        low, high = measured.interval(self.options.confidence) or (None, None)
        return Bar(label, measured.value, low, high, f"{len(self.rows):,} rows", bad)


def _compared(champion: Measured) -> str:
    return f"version {champion.version}, the champion, has {champion.value:.4f} on the same rows"
