"""The drift gate: whether current rows are distributed as those that the model was trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa

from lifecycle.data.dataset import Dataset, drawn
from lifecycle.domain.charts import Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.column_types import ColumnType, column_type
from lifecycle.gates.contract import (
    GateOptions,
    failed,
    findings_of,
    inconclusive,
    listing,
    no_current_data,
    too_few_rows,
)
from lifecycle.gates.drift.columns import ColumnDrift, ColumnStatus, measure, rows_of
from lifecycle.gates.drift.decide import DriftOptions, decide, find
from lifecycle.gates.subject import Candidate, NotLoaded, Subject
from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.frames import batch_from_frame
from lifecycle.scoring.signature import InvalidInput, NoSignature

_THREADS = 2  # numpy and Arrow release the interpreter lock while they sort, count and read
Pair = tuple["pd.Series[Any]", "pd.Series[Any]"]


def compare(
    names: Sequence[str], also: Sequence[str], reference: Dataset, current: Dataset, size: int, seed: int
) -> tuple[tuple[ColumnDrift, ...], tuple[pd.DataFrame, pd.DataFrame]]:
    """Compare all rows of the columns ``names``, and draw a sample of them and of the columns ``also``.

    The sample is taken while the columns are read, so that files are read once.

    Returns:
        Results in the requested order, and the same sampled rows of every column: reference, current.
    """
    rows = drawn(reference.count, size, seed), drawn(current.count, size, seed)
    kept: dict[str, Pair] = {}

    def one(name: str) -> ColumnDrift | None:
        before, now = reference.column(name), current.column(name)
        kept[name] = rows_of(before, rows[0]), rows_of(now, rows[1])
        measured = measure(name, before, now, seed) if name in names else None
        del before, now
        pa.default_memory_pool().release_unused()  # which Arrow would keep for the next column
        return measured

    read = list(dict.fromkeys((*names, *also)))
    with ThreadPoolExecutor(_THREADS) as pool:
        columns = list(pool.map(one, read))
    before, now = (pd.DataFrame({name: kept[name][side] for name in read}) for side in (0, 1))
    return tuple(c for c in columns if c is not None), (before, now)


_log = logging.getLogger(__name__)
_MOST_CLASSES = 20
_MOST_OUTPUTS = 20


def compare_labels(reference: Dataset, current: Dataset, options: DriftOptions) -> tuple[ColumnDrift, ...]:
    """Compare all labels. Empty where either side has fewer than ``min_rows`` labels, which often arrive late."""
    label = reference.label
    if options.max_target_distance is None or label is None or not (reference.has_labels and current.has_labels):
        return ()
    before, now = reference.column(label).dropna(), current.column(label).dropna()
    enough = min(len(before), len(now)) >= options.min_rows
    return (_compare(label, before, now, options.seed),) if enough else ()


def compare_predictions(
    candidate: Candidate, reference: pd.DataFrame, current: pd.DataFrame, seed: int
) -> tuple[ColumnDrift, ...]:
    """Compare the candidate's predictions for either side, one column for each output or class.

    Of more than 20 those with the largest mean.

    Raises:
        NotLoaded: the candidate may not be loaded.
    """
    try:
        batches = [batch_from_frame(rows, candidate.signature) for rows in (reference, current)]
        before, now = (dict(_outputs(candidate.scorer.predict(batch))) for batch in batches)
    except NotLoaded:
        raise
    except (InvalidInput, NoSignature) as exc:
        return (ColumnDrift("prediction", problem=ColumnStatus.UNJUDGED, why=str(exc)),)
    except Exception as exc:  # the model's own code
        _log.debug("scoring broke", exc_info=True)
        return (ColumnDrift("prediction", problem=ColumnStatus.BROKE, why=type(exc).__name__),)
    names = list(before)
    if len(names) > _MOST_OUTPUTS:
        names = sorted(names, key=lambda name: -float(before[name].mean()))[:_MOST_OUTPUTS]
    return tuple(_compare(name, before[name], now[name], seed) for name in names)


def _outputs(predictions: Predictions) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Each predicted number or class as a column; of two probabilities only the second."""
    if not isinstance(predictions, np.ndarray):
        for name, values in predictions.items():
            yield from ((f"{name}: {part}", column) for part, column in _outputs(values))
    elif predictions.ndim == 1:
        yield "prediction", pd.Series(predictions)
    else:
        flat = predictions.reshape(len(predictions), -1)
        if flat.shape[1] <= 2:
            yield "prediction", pd.Series(flat[:, -1])
        else:
            yield from ((f"prediction {i}", pd.Series(flat[:, i])) for i in range(flat.shape[1]))


def _compare(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> ColumnDrift:
    if _are_classes(reference) and _are_classes(current):
        codes = [side.astype("category") for side in (reference, current)]
        reference, current = (c.cat.rename_categories([str(int(n)) for n in c.cat.categories]) for c in codes)
    return measure(name, reference, current, seed)


def _are_classes(values: pd.Series[Any]) -> bool:
    """Whether these numbers are class codes: few distinct whole numbers."""
    if column_type(values) is not ColumnType.NUMBER:
        return False
    different = values.dropna().unique()
    return len(different) <= _MOST_CLASSES and all(float(value).is_integer() for value in different)


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
        names = dict.fromkeys(self.options.columns or _inputs(subject, reference))
        columns = tuple(name for name in names if name not in (self.options.leave_out or ()))
        return (
            too_few_rows(self.name, reference, self.options.min_rows)
            or too_few_rows(self.name, current, self.options.min_rows)
            or self._lacking(columns, reference, current)
            or self._judge(subject, columns, reference, current)
        )

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
