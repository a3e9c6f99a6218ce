"""The metrics of the performance gate, by name, on plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Unmeasurable(Exception):
    """These rows have no such metric: ``what`` is the reason code, the text is for people."""

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


def measure(name: str, labels: Array, predictions: Array) -> float:
    """A metric's value.

    Args:
        name: One of :data:`METRICS`.
        labels: 1-D, without nulls.
        predictions: 1-D classes, scores or numbers; or 2-D with one probability per class, in the order of
            the sorted classes, as scikit-learn gives them. The last class is the positive one.

    Raises:
        Unmeasurable: one class only, classes where scores are needed, a value that is not finite ...
    """
    from sklearn import metrics as sk

    if predictions.dtype.kind == "f" and not np.isfinite(predictions).all():
        raise Unmeasurable("predictions_not_finite", "some predictions are NaN or infinite")
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]
    metric = METRICS[name]
    truth, answers = metric.prepare(labels, predictions)
    try:
        value = float(metric.function(sk, truth, answers))
    except ValueError as exc:
        raise Unmeasurable("unmeasurable", f"scikit-learn cannot compute {name} from such predictions") from exc
    if not np.isfinite(value):
        raise Unmeasurable("metric_not_finite", f"{name} is not a finite number on these rows")
    return value


def _numbers(labels: Array, predictions: Array) -> tuple[Array, Array]:
    if labels.dtype.kind not in "fiu" or predictions.dtype.kind not in "fiu" or predictions.ndim != 1:
        raise Unmeasurable("not_numbers", "labels and predictions are not all numbers, one a row")
    if (labels == labels[0]).all():
        raise Unmeasurable("one_value", "all labels are the same number")
    return labels, predictions


def _scores(labels: Array, predictions: Array) -> tuple[Array, Array]:
    """Class indices, and scores: 1-D of the positive class, or 2-D when there are more than two."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return truth, predictions[:, 1] if len(classes) == 2 else predictions
    if predictions.dtype.kind != "f" or np.isin(predictions, classes).all():
        raise Unmeasurable(
            "no_scores",
            "the model answers with classes and this metric needs scores; "
            "log it with pyfunc_predict_fn='predict_proba'",
        )
    if len(classes) > 2:
        raise Unmeasurable("classes_differ", f"the labels have {len(classes)} classes and the scores are for two")
    return truth, predictions


def _decisions(labels: Array, predictions: Array) -> tuple[Array, Array]:
    """Class indices of labels and of predictions; a score of 0.5 and more is the positive class."""
    classes, truth = _classes(labels)
    if predictions.ndim == 2:
        _check_width(classes, predictions)
        return truth, predictions.argmax(axis=1)
    known = np.isin(predictions, classes)
    if known.all() or predictions.dtype.kind != "f":
        # A class that the labels lack is a wrong answer all the same: index -1.
        return truth, np.where(known, np.searchsorted(classes, np.where(known, predictions, classes[0])), -1)
    if len(classes) > 2 or predictions.min() < 0 or predictions.max() > 1:
        raise Unmeasurable("not_classes", "the predictions are neither classes nor probabilities of one")
    return truth, (predictions >= 0.5).astype(int)


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


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        function: From ``sklearn.metrics`` (handed in: it takes a second to import), truth and predictions.
        prepare: Brings labels and predictions into the form that the function needs.
        higher_is_better: Which way is good.
    """

    function: Callable[[Any, Array, Array], float]
    prepare: Callable[[Array, Array], tuple[Array, Array]]
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    "roc_auc": Metric(lambda sk, y, p: sk.roc_auc_score(y, p, multi_class="ovr"), _scores),
    "log_loss": Metric(lambda sk, y, p: sk.log_loss(y, p), _scores, higher_is_better=False),
    "accuracy": Metric(lambda sk, y, p: sk.accuracy_score(y, p), _decisions),
    "f1": Metric(
        lambda sk, y, p: sk.f1_score(y, p, average="binary" if y.max() == 1 and p.min() >= 0 else "macro"),
        _decisions,
    ),
    "rmse": Metric(lambda sk, y, p: sk.root_mean_squared_error(y, p), _numbers, higher_is_better=False),
    "mae": Metric(lambda sk, y, p: sk.mean_absolute_error(y, p), _numbers, higher_is_better=False),
    "r2": Metric(lambda sk, y, p: sk.r2_score(y, p), _numbers),
}
