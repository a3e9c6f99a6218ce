"""Metrics of the performance gate, by their names in ``mlflow.models.evaluate`` and by shorter ones.

The values are scikit-learn's, and so the same as MLflow's. With two classes the last one in sorted order is
positive; with more, a metric is the mean over the classes, weighted by their numbers of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.gates.performance.targets import (
    LabelledPredictions,
    LabelledRows,
    Unmeasurable,
    check,
    decisions,
    numbers,
    predictions_of,
    scores,
)
from lifecycle.gates.subject import Candidate
from lifecycle.statistics import intervals
from lifecycle.statistics.intervals import confidence_interval

Array = NDArray[Any]
_PROPORTION, _LOSS = (0.0, 1.0), (0.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the performance gate.

    Attributes:
        function: From ``sklearn.metrics``, given as argument since its import takes a second.
        prepare: Brings labels and predictions into the form that it needs.
        influence: Influence of each row on it; None where a single row decides, so that there is no interval.
        support: Number of rows that the value rests on.
        higher_is_better: Whether higher values are better.
        bounds: The lowest and the highest value.
    """

    function: Callable[[Any, LabelledPredictions], float]
    prepare: Callable[[Array, Array], LabelledPredictions]
    influence: Callable[[LabelledPredictions], Array] | None
    support: Callable[[LabelledPredictions], int] = len
    higher_is_better: bool = True
    bounds: tuple[float, float] = _PROPORTION

    def answers(self, labels: Array, predictions: Array) -> LabelledPredictions:
        """Labels and predictions in the form that the metric needs.

        Args:
            labels: 1-D, without nulls.
            predictions: 1-D classes, scores or numbers; or 2-D with one probability per class, in the order of
                the sorted classes, as scikit-learn gives them.

        Raises:
            Unmeasurable: one class only, classes where scores are needed, a value that is not finite ...
        """
        return self.prepare(labels, check(labels, predictions))

    def value(self, answers: LabelledPredictions) -> float:
        """The metric's value on these rows. Raises Unmeasurable if it has none."""
        from sklearn import metrics as sk

        try:
            value = float(self.function(sk, answers))
        except ValueError as exc:
            message = "scikit-learn cannot compute it from such labels and predictions"
            raise Unmeasurable("unmeasurable", message) from exc
        if not np.isfinite(value):
            raise Unmeasurable("metric_not_finite", "it is not a finite number on these rows")
        return value


def measure(name: str, labels: Array, predictions: Array) -> float:
    """The value of a metric of :data:`METRICS`. Raises Unmeasurable as :meth:`Metric.answers`."""
    metric = METRICS[name]
    return metric.value(metric.answers(labels, predictions))


def _minority(a: LabelledPredictions) -> int:
    """Number of rows outside the most frequent class, which rank metrics rest on."""
    return len(a) - int(np.bincount(a.truth).max())


def _auc(sk: Any, a: LabelledPredictions) -> float:
    if a.classes == 2:
        return float(sk.roc_auc_score(a.truth, a.given))
    # one class against the rest; scikit-learn's own loop fails if a class is missing
    return sum(
        share * float(sk.roc_auc_score(a.truth == index, a.given[:, index]))
        for index, share in intervals.shares(a.truth)
    )


def _auc_influence(a: LabelledPredictions) -> Array:
    if a.classes == 2:
        return intervals.of_auc(a.truth == 1, a.given)
    from sklearn.metrics import roc_auc_score

    def of_class(index: int) -> tuple[float, Array]:
        positive, given = a.truth == index, a.given[:, index]
        return roc_auc_score(positive, given), intervals.of_auc(positive, given)

    return intervals.of_weighted_mean(a.truth, of_class)


def _average_precision(sk: Any, a: LabelledPredictions) -> float:
    if a.classes > 2:
        raise Unmeasurable("two_classes_only", f"it is for two classes and the labels have {a.classes}")
    return float(sk.average_precision_score(a.truth, a.given))


def _losses(a: LabelledPredictions) -> Array:
    """Minus the logarithm of the right class's probability."""
    tiny = np.finfo(a.given.dtype).eps
    rows = np.arange(len(a))
    right = a.given[rows, a.truth] if a.given.ndim == 2 else np.where(a.truth == 1, a.given, 1 - a.given)
    losses: Array = -np.log(np.clip(right, tiny, 1 - tiny))
    return losses


def _squared_misses(a: LabelledPredictions) -> Array:
    wanted = a.truth if a.given.ndim == 1 else np.eye(a.classes)[a.truth]
    squares: Array = (a.given - wanted) ** 2
    return squares if squares.ndim == 1 else squares.sum(axis=1)


def _of_hits(function: str, parts: Callable[[Array, Array], tuple[Array, Array]]) -> Metric:
    """A metric that is a ratio of two sums over rows: precision, recall, F1.

    Args:
        function: Its name in ``sklearn.metrics``.
        parts: Each row's addition to both sums, from its true and its predicted class.
    """

    def of_class(a: LabelledPredictions, index: int) -> tuple[Array, Array]:
        part, whole = parts((a.truth == index).astype(float), (a.given == index).astype(float))
        return part, whole

    def value(sk: Any, a: LabelledPredictions) -> float:
        if a.classes == 2:
            return float(getattr(sk, function)(a.truth == 1, a.given == 1, zero_division=0))
        return float(getattr(sk, function)(a.truth, a.given, average="weighted", zero_division=0))

    def ratio_and_influence(a: LabelledPredictions, index: int) -> tuple[float, Array]:
        part, whole = of_class(a, index)
        return float(part.sum() / max(whole.sum(), 1.0)), intervals.of_ratio(part, whole)

    def of_rows(a: LabelledPredictions) -> Array:
        if a.classes == 2:
            return intervals.of_ratio(*of_class(a, 1))
        return intervals.of_weighted_mean(a.truth, lambda index: ratio_and_influence(a, index))

    def support(a: LabelledPredictions) -> int:
        return int((of_class(a, 1)[1] > 0).sum()) if a.classes == 2 else len(a)

    return Metric(value, decisions, of_rows, support)


def _of_errors(function: str, losses: Callable[[LabelledPredictions], Array] | None) -> Metric:
    """A regression metric that is the mean of one loss per row."""
    return Metric(
        lambda sk, a: getattr(sk, function)(a.truth, a.given),
        numbers,
        None if losses is None else lambda a: intervals.of_mean(losses(a)),
        higher_is_better=False,
        bounds=_LOSS,
    )


def _errors(a: LabelledPredictions) -> Array:
    errors: Array = np.abs(a.truth - a.given)
    return errors


_MLFLOW: dict[str, Metric] = {
    "accuracy_score": Metric(
        lambda sk, a: sk.accuracy_score(a.truth, a.given),
        decisions,
        lambda a: intervals.of_mean((a.truth == a.given).astype(float)),
    ),
    "precision_score": _of_hits("precision_score", lambda is_, said: (is_ * said, said)),
    "recall_score": _of_hits("recall_score", lambda is_, said: (is_ * said, is_)),
    "f1_score": _of_hits("f1_score", lambda is_, said: (2 * is_ * said, is_ + said)),
    "roc_auc": Metric(_auc, scores, _auc_influence, _minority),
    "precision_recall_auc": Metric(
        _average_precision, scores, lambda a: intervals.of_average_precision(a.truth == 1, a.given), _minority
    ),
    "log_loss": Metric(
        lambda sk, a: sk.log_loss(a.truth, a.given, labels=range(a.classes)),
        scores,
        lambda a: intervals.of_mean(_losses(a)),
        higher_is_better=False,
        bounds=_LOSS,
    ),
    "mean_absolute_error": _of_errors("mean_absolute_error", _errors),
    "mean_squared_error": _of_errors("mean_squared_error", lambda a: _errors(a) ** 2),
    "mean_absolute_percentage_error": _of_errors(
        "mean_absolute_percentage_error",
        lambda a: _errors(a) / np.maximum(np.abs(a.truth), np.finfo(np.float64).eps),
    ),
    "root_mean_squared_error": replace(
        _of_errors("root_mean_squared_error", None), influence=lambda a: intervals.of_root_mean(_errors(a) ** 2)
    ),
    "max_error": _of_errors("max_error", None),
    "r2_score": Metric(
        lambda sk, a: sk.r2_score(a.truth, a.given),
        numbers,
        lambda a: intervals.of_r2(a.truth, a.given),
        lambda a: len(a) if np.ptp(a.truth) else 0,
        bounds=(float("-inf"), 1.0),
    ),
}
_SHORT = {
    "accuracy": "accuracy_score",
    "precision": "precision_score",
    "recall": "recall_score",
    "f1": "f1_score",
    "mae": "mean_absolute_error",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mape": "mean_absolute_percentage_error",
    "r2": "r2_score",
}
METRICS: dict[str, Metric] = {
    **_MLFLOW,
    "brier_score": Metric(
        lambda sk, a: sk.brier_score_loss(a.truth, a.given, labels=range(a.classes)),
        scores,
        lambda a: intervals.of_mean(_squared_misses(a)),
        higher_is_better=False,
        bounds=(0.0, 2.0),
    ),
    **{short: _MLFLOW[name] for short, name in _SHORT.items()},
}
"""All names of the option ``metric``."""


@dataclass(frozen=True)
class MeasuredMetric:
    """A version's metric on labelled rows, with the predictions behind it."""

    version: int
    metric: Metric
    answers: LabelledPredictions
    value: float

    @property
    def support(self) -> int:
        """Number of rows that the value rests on."""
        return self.metric.support(self.answers)

    @cached_property
    def influence(self) -> NDArray[Any]:
        """Influence of each row, ``(rows,)``. Not for a metric that a single row decides."""
        assert self.metric.influence is not None  # noqa: S101  # the options refuse slices for such a metric
        return self.metric.influence(self.answers)

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Confidence interval; None if single rows decide."""
        if self.metric.influence is None:
            return None
        return confidence_interval(self.value, self.influence, confidence, self.metric.bounds)

    def loss_to(self, other: float) -> float:
        """How much worse it is than ``other``; negative if better."""
        return other - self.value if self.metric.higher_is_better else self.value - other

    def at(self, rows: NDArray[Any]) -> MeasuredMetric:
        """The metric on some of the rows. Raises Unmeasurable."""
        answers = self.answers.at(rows)
        return replace(self, answers=answers, value=self.metric.value(answers))


def measure_version(metric: Metric, version: Candidate, rows: LabelledRows) -> MeasuredMetric:
    """Score the rows with a version and measure its predictions.

    Raises:
        NoSignature, InvalidInput: the version cannot score the rows.
        Unmeasurable: the metric cannot be computed from its predictions.
    """
    answers = metric.answers(rows.labels, predictions_of(version, rows.frame))
    return MeasuredMetric(version.version.version, metric, answers, metric.value(answers))
