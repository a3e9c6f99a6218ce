"""Labels and predictions of any spelling, in the form that metrics need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Unmeasurable(Exception):
    """These rows have no such metric, or no such slices: ``what`` is the reason code, the text is for people."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


@dataclass(frozen=True, slots=True)
class Answers:
    """Labels and predictions, row by row.

    Attributes:
        truth: Class indices, or numbers.
        given: 1-D class indices (-1 for a class that no label has), scores of the last class, or numbers; or 2-D
            with one probability for each class.
        classes: How many there are; 0 for numbers.
    """

    truth: Array
    given: Array
    classes: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    def at(self, rows: Array) -> Answers:
        """Some of the rows. The classes stay those of all rows."""
        return Answers(self.truth[rows], self.given[rows], self.classes)


def check(labels: Array, predictions: Array) -> Array:
    """The predictions, one a row or one for each class.

    Raises:
        Unmeasurable: labels or predictions that no metric is made for.
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


def numbers(labels: Array, predictions: Array) -> Answers:
    """For regression."""
    if labels.dtype.kind not in "fiu" or predictions.dtype.kind not in "fiu" or predictions.ndim != 1:
        raise Unmeasurable("not_numbers", "labels and predictions are not all numbers, one a row")
    if (labels == labels[0]).all():
        raise Unmeasurable("one_value", "all labels are the same number")
    return Answers(labels.astype(np.float64), predictions.astype(np.float64))


def scores(labels: Array, predictions: Array) -> Answers:
    """For metrics of scores: 1-D of the last class, or 2-D when there are more than two classes."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return Answers(truth, predictions[:, 1] if len(classes) == 2 else predictions, len(classes))
    if predictions.dtype.kind != "f" or np.isin(predictions, classes).all():
        raise Unmeasurable(
            "no_scores",
            "the model answers with classes and this metric needs scores; "
            "log it with pyfunc_predict_fn='predict_proba'",
        )
    if len(classes) > 2:
        raise Unmeasurable("classes_differ", f"the labels have {len(classes)} classes and the scores are for two")
    return Answers(truth, predictions, len(classes))


def decisions(labels: Array, predictions: Array) -> Answers:
    """For metrics of classes; a score of 0.5 and more is the positive class."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return Answers(truth, predictions.argmax(axis=1), len(classes))
    known = np.isin(predictions, classes)
    if known.all() or predictions.dtype.kind != "f":
        # A class that the labels lack is a wrong answer all the same.
        given = np.where(known, np.searchsorted(classes, np.where(known, predictions, classes[0])), -1)
        return Answers(truth, given, len(classes))
    if len(classes) > 2 or predictions.min() < 0 or predictions.max() > 1:
        raise Unmeasurable("not_classes", "the predictions are neither classes nor probabilities of one")
    return Answers(truth, (predictions >= 0.5).astype(int), len(classes))


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
