"""Whether the model is good enough, no worse than the one it replaces, and so on every slice of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.charts import Chart
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import GateOptions, findings_of
from lifecycle.gates.performance.answers import Unmeasurable
from lifecycle.gates.performance.decide import PerformanceCase
from lifecycle.gates.performance.measured import Measured, measure_version
from lifecycle.gates.performance.options import PerformanceOptions
from lifecycle.gates.performance.scored_rows import LabelledRows, labelled_rows
from lifecycle.gates.performance.sliced_rows import slice_rows
from lifecycle.gates.subject import ModelRaised, Subject
from lifecycle.gates.verdicts import inconclusive, too_few_rows
from lifecycle.scoring.signature import InvalidInput, NoSignature


@dataclass(frozen=True, slots=True)
class PerformanceGate:
    """Scores labelled rows with the snapshot's own scorer and compares a metric with its thresholds.

    The rows are the current data where they have the label's column, else the reference rows, which the
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
        # Rows that have the label's column are meant to be measured on, even where it turns out to be empty.
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

    def _champion(self, subject: Subject, rows: LabelledRows) -> tuple[Measured | None, Verdict | None]:
        """The champion on the same rows where the policy compares with it, and what is in the way of that."""
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
        """A drop is no demand on the first version, so there must be another one."""
        options = self.options
        needed = "min" if options.measured.higher_is_better else "max"
        lacking = [needed] if options.limit is None else []
        lacking += [f"slice_{needed}"] if options.by and options.slice_limit is None else []
        if not lacking:
            return None
        message = (
            f"No version holds the stage, so there is no champion to compare {options.metric} with. "
            f"Demand {' and '.join(lacking)} too."
        )
        return inconclusive(self.name, "no_champion", message)
