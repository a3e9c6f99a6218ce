"""The performance gate: a metric against thresholds and the champion, on all rows and on slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.charts import Bar, BarChart, Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.contract import GateOptions, failed, findings_of, inconclusive, listing, passed, too_few_rows
from lifecycle.gates.performance.metrics import MeasuredMetric, measure_version
from lifecycle.gates.performance.options import PerformanceOptions
from lifecycle.gates.performance.slices import SlicedRows, shown_slices, slice_rows
from lifecycle.gates.performance.targets import LabelledRows, Unmeasurable, labelled_rows
from lifecycle.gates.subject import ModelRaised, Subject
from lifecycle.scoring.signature import InvalidInput, NoSignature

_GATE = "performance"


@dataclass(frozen=True)
class PerformanceCase:
    """Everything that was measured, and the verdict on it.

    Attributes:
        champion: None where the policy does not ask for it, there is none, or it cannot be measured.
        obstacle: The verdict on a champion that is required and missing, or None.
    """

    options: PerformanceOptions
    rows: LabelledRows
    ours: MeasuredMetric
    champion: MeasuredMetric | None
    sliced: SlicedRows
    obstacle: Verdict | None

    def verdict(self) -> Verdict:
        """The first failed demand; else the first that could not be judged; else PASSED."""
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
            message = f"{measured}, but less than {options.slice_min:g} {where}: {shown_slices(sliced.missed)}."
            yield failed(_GATE, "slice_below_min", message)
        if sliced.missed and options.slice_max is not None:
            message = f"{measured}, but more than {options.slice_max:g} {where}: {shown_slices(sliced.missed)}."
            yield failed(_GATE, "slice_above_max", message)
        if sliced.dropped and self.champion:
            message = (
                f"{measured}, but on {len(sliced.dropped)} of {len(sliced.results)} slices it is more than "
                f"{options.slice_drop:g} worse than version {self.champion.version}, the champion: "
                f"{shown_slices(sliced.dropped)}."
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

    def _bar(self, label: str, measured: MeasuredMetric, *, bad: bool = False) -> Bar:
        low, high = measured.interval(self.options.confidence) or (None, None)
        return Bar(label, measured.value, low, high, f"{len(self.rows):,} rows", bad)


def _compared(champion: MeasuredMetric) -> str:
    return f"version {champion.version}, the champion, has {champion.value:.4f} on the same rows"


@dataclass(frozen=True, slots=True)
class PerformanceGate:
    """Scores labelled rows with the snapshot's own scorer and compares a metric with its thresholds.

    The rows are the current data if they have the label column, else the reference rows, which the
    training run held out and logged. The champion is scored on the same rows. scikit-learn's metrics are called
    directly: ``mlflow.models.evaluate`` computes the same numbers after many seconds of set-up, and
    scores through another path than the one that will serve.
    """

    Options: ClassVar[type[GateOptions]] = PerformanceOptions
    name: ClassVar[str] = "performance"
    before_loading: ClassVar[bool] = False

    options: PerformanceOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without enough labelled rows, or where the metric cannot be computed."""
        current = subject.current(self.options.current)
        # rows with the label column are to be measured on, even if the column is empty
        chosen = current if current is not None and current.has_labels else subject.reference
        rows = labelled_rows(chosen, self.options.max_rows, self.options.seed)
        if rows is None:
            return inconclusive(
                self.name,
                "no_labels",
                f"There are no labelled rows{f' in {chosen.source}' if chosen else ''}. Log some with "
                "lifecycle.track(reference, label=...), or give current data that has labels.",
            )
        labelled = dataset_from_frame(rows.frame, None, f"The labelled part of {rows.source}")
        return too_few_rows(self.name, labelled, self.options.min_rows) or self._judge(subject, rows)

    def _judge(self, subject: Subject, rows: LabelledRows) -> Verdict:
        try:
            ours = measure_version(self.options.measured, subject.candidate, rows)
        except InvalidInput as exc:
            return inconclusive(self.name, "rows_do_not_fit", f"{rows.source} does not fit the signature: {exc}.")
        except (Unmeasurable, NoSignature) as exc:
            what = exc.what if isinstance(exc, Unmeasurable) else "no_signature"
            return inconclusive(
                self.name, what, f"{self.options.metric} cannot be measured on {rows.source}: {exc}."
            )
        champion, obstacle = self._champion(subject, rows)
        sliced = slice_rows(self.options, rows, ours, champion)
        case = PerformanceCase(self.options, rows, ours, champion, sliced, obstacle)
        subject.findings[self.name] = case
        return case.verdict()

    def explain(self, subject: Subject, verdict: Verdict) -> Iterator[Chart]:  # noqa: ARG002  # of the contract
        """The metric of candidate and champion as bars, on all rows and on each slice."""
        case = findings_of(self, subject)
        if case is not None:
            yield from case.charts()

    def _champion(self, subject: Subject, rows: LabelledRows) -> tuple[MeasuredMetric | None, Verdict | None]:
        """The champion measured on the same rows, or the verdict if that is needed but impossible."""
        options, champion = self.options, subject.champion
        if options.max_drop_vs_champion is options.max_slice_drop is None:
            return None, None
        if champion is None:
            return None, self._no_champion()
        try:
            return measure_version(options.measured, champion, rows), None
        except (InvalidInput, Unmeasurable, NoSignature, ModelRaised) as exc:
            message = (
                f"Version {champion.version.version}, the champion, cannot be measured on {rows.source}: {exc}. "
                "Give rows that both versions can score, or leave the comparison out."
            )
            return None, inconclusive(self.name, "champion_unmeasurable", message)

    def _no_champion(self) -> Verdict | None:
        """INCONCLUSIVE if only a comparison with the champion is demanded, else None."""
        options = self.options
        needed = "min" if options.measured.higher_is_better else "max"
        lacking = [needed] if options.limit is None else []
        lacking += [f"slice_{needed}"] if options.by and options.slice_limit is None else []
        if not lacking:
            return None
        message = (
            f"No version holds the stage, so there is no champion to compare {options.metric} with. "
            f"Add {' and '.join(lacking)} to the gate's options in lifecycle.yaml."
        )
        return inconclusive(self.name, "no_champion", message)
