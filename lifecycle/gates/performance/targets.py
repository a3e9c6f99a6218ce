"""Labels and predictions of labelled rows, in the form that metrics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.data.dataset import Dataset
from lifecycle.gates.subject import Candidate, ask, batches_of
from lifecycle.scoring.contract import Predictions

Array = NDArray[Any]


class Unmeasurable(Exception):
    """Metric or slices are undefined on these rows. ``what`` is the reason code, the text is for people."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class LabelledPredictions:
    """Labels and predictions, row by row.

    Attributes:
        truth: Class indices, or numbers.
        given: 1-D class indices (-1 for a class without labels), scores of the last class, or numbers; or 2-D
            with one probability for each class.
        classes: Number of classes; 0 for regression.
    """

    truth: Array
    given: Array
    classes: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    def at(self, rows: Array) -> LabelledPredictions:
        """Some of the rows, with the classes of all rows."""
        return LabelledPredictions(self.truth[rows], self.given[rows], self.classes)


def check(labels: Array, predictions: Array) -> Array:
    """Validate labels and predictions: one prediction per row, or one per class.

    Raises:
        Unmeasurable: no metric applies to these labels or predictions.
    """
    if len(predictions) != len(labels):
        raise Unmeasurable("rows_differ", "the model answers with another number of predictions than of rows")
    if predictions.dtype.kind == "f" and not np.isfinite(predictions).all():
        raise Unmeasurable("predictions_not_finite", "some predictions are NaN or infinite")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise Unmeasurable("labels_not_finite", "some labels are infinite")
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        raise Unmeasurable("labels_unusable", "the labels are neither numbers nor text nor true or false")
    return predictions[:, 0] if predictions.ndim == 2 and predictions.shape[1] == 1 else predictions


def numbers(labels: Array, predictions: Array) -> LabelledPredictions:
    """Labels and predictions for regression metrics."""
    if labels.dtype.kind not in "fiu" or predictions.dtype.kind not in "fiu" or predictions.ndim != 1:
        raise Unmeasurable("not_numbers", "labels and predictions are not all numbers, one a row")
    if (labels == labels[0]).all():
        raise Unmeasurable("one_value", "all labels are the same number")
    return LabelledPredictions(labels.astype(np.float64), predictions.astype(np.float64))


def scores(labels: Array, predictions: Array) -> LabelledPredictions:
    """Scores for metrics of rank or probability: 1-D of the last class; 2-D for more than two classes."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return LabelledPredictions(truth, predictions[:, 1] if len(classes) == 2 else predictions, len(classes))
    if predictions.dtype.kind != "f" or np.isin(predictions, classes).all():
        raise Unmeasurable(
            "no_scores",
            "the model answers with classes and this metric needs scores; "
            "log it with pyfunc_predict_fn='predict_proba'",
        )
    if len(classes) > 2:
        raise Unmeasurable("classes_differ", f"the labels have {len(classes)} classes and the scores are for two")
    return LabelledPredictions(truth, predictions, len(classes))


def decisions(labels: Array, predictions: Array) -> LabelledPredictions:
    """Classes for classification metrics; a score of 0.5 and more is the positive class."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return LabelledPredictions(truth, predictions.argmax(axis=1), len(classes))
    known = np.isin(predictions, classes)
    if known.all() or predictions.dtype.kind != "f":
        # a class without labels is a wrong prediction too
        given = np.where(known, np.searchsorted(classes, np.where(known, predictions, classes[0])), -1)
        return LabelledPredictions(truth, given, len(classes))
    if len(classes) > 2 or predictions.min() < 0 or predictions.max() > 1:
        raise Unmeasurable("not_classes", "the predictions are neither classes nor probabilities of one")
    return LabelledPredictions(truth, (predictions >= 0.5).astype(int), len(classes))


def _classes(labels: Array) -> tuple[Array, Array]:
    classes, truth = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise Unmeasurable("one_class", "all labels are of one class, so any model that always says so is perfect")
    return classes, truth


def _check_width(classes: Array, predictions: Array) -> None:
    if predictions.shape[1] != len(classes):
        raise Unmeasurable(
            "classes_differ",
            f"the labels have {len(classes)} classes and the model gives {predictions.shape[1]} probabilities",
        )


_MOST_DRAWN = 10  # times the wanted rows, if few of them have a label


@dataclass(frozen=True)
class LabelledRows:
    """Rows that have a label.

    Attributes:
        frame: All columns but the label's.
        labels: 1-D.
        label: Name of the label column.
        labelled: Number of rows of the source with a label.
        source: Readable name of the source.
    """

    frame: pd.DataFrame
    labels: Array
    label: str
    labelled: int
    source: str

    def __len__(self) -> int:
        return len(self.frame)


def labelled_rows(rows: Dataset | None, size: int, seed: int) -> LabelledRows | None:
    """At most ``size`` labelled rows, drawn at random; None if no row has a label.

    If few rows have a label, more rows are drawn, but at most ten times ``size``.
    """
    if rows is None or rows.label is None or not rows.has_labels:
        return None
    labelled = int(rows.column(rows.label).notna().sum())
    if not labelled:
        return None
    wanted = min(-(-size * rows.count // labelled), _MOST_DRAWN * size) if rows.count > size else size
    frame = rows.sample(wanted, seed)
    frame = frame[frame[rows.label].notna()]
    if len(frame) > size:
        frame = frame.sample(size, random_state=seed).sort_index()
    labels = _plain(frame.pop(rows.label))
    return LabelledRows(frame.reset_index(drop=True), labels, rows.label, labelled, rows.source)


def _plain(labels: pd.Series[Any]) -> Array:
    """Labels as numbers, text or booleans, else as objects."""
    try:
        return np.array(labels.tolist())
    except ValueError:  # lists of different lengths
        return np.array([None] * len(labels))


def predictions_of(candidate: Candidate, frame: pd.DataFrame) -> Array:
    """A version's predictions, scored in chunks to bound memory.

    Raises:
        NoSignature, InvalidInput: the rows cannot be scored.
        Unmeasurable: the model has several outputs.
    """
    batches = batches_of(frame, candidate.signature)
    return np.concatenate([_one_array(ask(candidate.scorer, batch)) for batch in batches])


def _one_array(predictions: Predictions) -> Array:
    if isinstance(predictions, np.ndarray):
        return predictions
    if len(predictions) == 1:
        return next(iter(predictions.values()))
    raise Unmeasurable(
        "several_outputs",
        f"the model predicts {len(predictions)} named columns, and the metric needs one",
    )
