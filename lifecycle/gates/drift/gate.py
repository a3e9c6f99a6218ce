"""The drift gate: whether current rows are distributed as those that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from lifecycle.data.dataset import Dataset
from lifecycle.domain.charts import Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.contract import (
    GateOptions,
    failed,
    findings_of,
    inconclusive,
    listing,
    no_current_data,
    too_few_rows,
)
from lifecycle.gates.drift.decide import DriftOptions
from lifecycle.gates.subject import NotLoaded, Subject
from lifecycle.scoring.signature import NoSignature


@dataclass(frozen=True, slots=True)
class DriftGate:
    """Compares the distribution of each input in all reference rows and all current rows.

    Numbers and datetimes by Wasserstein distance in standard deviations of the reference, text and
    true/false by Jensen-Shannon distance. The figures equal Evidently's and are computed without it, which
    makes ten million rows feasible. A column has drifted when its distance is large, apart from what chance gives,
    and significant among all columns. So many rows do not turn small differences into drift, and few rows do not
    raise false alarms.

    The model's predictions for a sample of either side are compared in the same way, and the labels where both
    sides have them. Columns that are empty on both sides don't count. Columns of the current data that the model
    doesn't take are ignored. A single column that cannot be judged keeps the gate from passing: leave it out.
    """

    Options: ClassVar[type[GateOptions]] = DriftOptions
    name: ClassVar[str] = "drift"
    before_loading: ClassVar[bool] = False

    options: DriftOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """FAILED when too many columns drifted, or one column, the predictions or the labels drifted too far."""
        reference, current = subject.reference, subject.current(self.options.current)
        if reference is None:
            return inconclusive(
                self.name,
                "no_reference",
                "There are no reference rows. Call lifecycle.track(reference) in the training run.",
            )
        if current is None:
            return no_current_data(self.name)
        columns = self._columns(subject, reference)
        return (
            too_few_rows(self.name, reference, self.options.min_rows)
            or too_few_rows(self.name, current, self.options.min_rows)
            or self._lacking(columns, reference, current)
            or self._judge(subject, columns, reference, current)
        )

    def _columns(self, subject: Subject, reference: Dataset) -> tuple[str, ...]:
        names = self.options.columns or _inputs(subject, reference)
        return tuple(name for name in dict.fromkeys(names) if name not in (self.options.leave_out or ()))

    def _lacking(self, columns: tuple[str, ...], reference: Dataset, current: Dataset) -> Verdict | None:
        """The verdict if columns are missing, else None."""
        unknown = [repr(c) for c in columns if c not in reference.columns]
        if unknown:
            message = f"The reference rows lack {listing(unknown)}, so there is nothing to compare with."
            return inconclusive(self.name, "not_in_reference", message)
        missing = [repr(c) for c in columns if c not in current.columns]
        if missing:
            message = f"{current.source} lacks {listing(missing)}, which the reference rows have."
            return failed(self.name, "missing_columns", message, {"missing_columns": len(missing)})
        return None

    def _judge(self, subject: Subject, columns: tuple[str, ...], reference: Dataset, current: Dataset) -> Verdict:
        from lifecycle.gates.drift.compare import compare, compare_labels, compare_predictions
        from lifecycle.gates.drift.decide import decide, find

        options, asks = self.options, self.options.max_prediction_distance is not None
        known = set(reference.columns) & set(current.columns)
        inputs = [name for name in _inputs(subject, reference) if name in known] if asks else []
        compared, samples = compare(columns, inputs, reference, current, options.sample_rows, options.seed)
        labels = compare_labels(reference, current, options)
        try:
            rows = [sample[inputs] for sample in samples]
            answers = compare_predictions(subject.candidate, rows[0], rows[1], options.seed) if asks else ()
        except NotLoaded:
            findings = find(compared, labels, (), options)
            if decide(findings, current.source, options).outcome is not Outcome.FAILED:
                raise  # otherwise the rows do not fit, whatever the model would predict
        else:
            findings = find(compared, labels, answers, options)
        subject.findings[self.name] = findings, samples
        verdict = decide(findings, current.source, options)
        facts: dict[str, Figure] = {
            "reference_rows": reference.count,
            "current_rows": current.count,
            "extra_columns": len(set(current.inputs) - set(reference.columns)),
        }
        return replace(verdict, figures={**verdict.figures, **facts})

    def explain(self, subject: Subject, verdict: Verdict) -> Iterator[Chart]:  # noqa: ARG002  # of the contract
        """Histograms of the columns that moved most, and Evidently's report on a sample of the rows."""
        from lifecycle.gates.drift.report import evidently_page, histograms

        found = findings_of(self, subject)
        if found is not None:
            findings, samples = found
            yield from histograms(findings)
            yield from evidently_page(findings, samples, self.options)


def _inputs(subject: Subject, reference: Dataset) -> tuple[str, ...]:
    """The model's inputs by its signature, else all columns of the reference."""
    try:
        signature = subject.candidate.signature
    except NoSignature:
        return tuple(reference.inputs)
    return tuple(reference.inputs) if signature.is_tensor else signature.names
