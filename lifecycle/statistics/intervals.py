"""Confidence intervals and p-values of a metric, from the influence of each row on it.

For a metric M of rows with weights w, each ``of_…`` function returns ``(rows,)``: dM/dw of each row at weights of
1. They sum to 0, and their squares sum to the variance of M over samples of as many rows: the infinitesimal
jackknife, which for ROC AUC is DeLong's method. Those of two models on the same rows are subtracted before
squaring, which makes the comparison paired. One pass over the rows gives the limit of many bootstrap resamples,
without a seed.

Sources: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), ch. 6; E. DeLong et al.,
Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 44 (1988).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def of_mean(losses: Array) -> Array:
    """Influence on the mean of ``losses``, one number per row."""
    influence: Array = (losses - losses.mean()) / len(losses)
    return influence


def of_root_mean(squares: Array) -> Array:
    """Influence on the root mean of ``squares``, one number per row."""
    root = float(np.sqrt(squares.mean()))
    return of_mean(squares) / (2 * root) if root else np.zeros(len(squares))


def of_ratio(part: Array, whole: Array) -> Array:
    """Influence on the sum of ``part`` divided by the sum of ``whole``; 0 where that is 0/0."""
    total = float(whole.sum())
    if not total:
        return np.zeros(len(part))
    influence: Array = (part - part.sum() / total * whole) / total
    return influence


def of_r2(truth: Array, given: Array) -> Array:
    """Influence on the coefficient of determination of predictions ``given``."""
    errors, spread = (truth - given) ** 2, (truth - truth.mean()) ** 2
    total = spread.sum()
    influence: Array = errors.sum() * spread / total**2 - errors / total
    return influence


def of_auc(positive: Array, scores: Array) -> Array:
    """Influence on the area under the ROC curve (DeLong); ties count half.

    Args:
        positive: Whether each row is of the positive class.
        scores: One per row, higher for the positive class.
    """
    group, positives, negatives = _by_score(positive, scores)
    won = (np.cumsum(negatives) - negatives / 2) / negatives.sum()  # by a positive of this score
    lost = 1 - (np.cumsum(positives) - positives / 2) / positives.sum()  # by a negative of it
    area = (won * positives).sum() / positives.sum()
    influence: Array = np.where(
        positive, (won[group] - area) / positives.sum(), (lost[group] - area) / negatives.sum()
    )
    return influence


def of_average_precision(positive: Array, scores: Array) -> Array:
    """Influence on average precision: the mean of the precisions at each positive row's score."""
    group, positives, negatives = _by_score(positive, scores)
    above = np.cumsum(positives[::-1])[::-1]  # positives of this score or a higher one
    rows = np.cumsum((positives + negatives)[::-1])[::-1]
    precision, total = above / rows, positives.sum()
    gain, cost = np.cumsum(positives / rows), np.cumsum(positives * precision / rows)
    area = (positives * precision).sum() / total
    influence: Array = (np.where(positive, (precision + gain)[group] - area, 0.0) - cost[group]) / total
    return influence


def of_weighted_mean(truth: Array, of_class: Callable[[int], tuple[float, Array]]) -> Array:
    """Influence on the mean of per-class values, weighted by the number of rows per class.

    Args:
        truth: Class indices.
        of_class: The value for one class, and each row's influence on it.
    """
    weighted, values = np.zeros(len(truth)), np.zeros(int(truth.max()) + 1)
    for index, share in shares(truth):
        values[index], influence = of_class(index)
        weighted += share * influence
    return weighted + of_mean(values[truth])


def shares(truth: Array) -> Iterator[tuple[int, float]]:
    """The classes that occur, and the share of the rows that have each."""
    counts = np.bincount(truth)
    yield from ((int(index), float(counts[index] / len(truth))) for index in np.flatnonzero(counts))


def _by_score(positive: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Rank of each row's distinct score, ascending; and the counts of positive and negative rows by score."""
    values, group = np.unique(scores, return_inverse=True)
    positives = np.bincount(group, weights=positive, minlength=len(values))
    return group, positives, np.bincount(group, minlength=len(values)) - positives


def confidence_interval(
    value: float, influence: Array, confidence: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Two-sided normal confidence interval of a metric.

    Args:
        influence: ``(rows,)``, as the ``of_…`` functions give it.
        confidence: Such as 0.95.
        bounds: Lowest and highest value that the metric can have; the interval is cut there.
    """
    half = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.sqrt((influence**2).sum()))
    return max(value - half, bounds[0]), min(value + half, bounds[1])


def one_sided_p(loss: float, influence: Array, support: int) -> float:
    """P-value of a loss against the hypothesis that there is none.

    The loss itself is part of the variance, as in McNemar's test: a few rows that all go the same way have no
    variance of their own and would be certain. With it, a loss on ``support`` rows is at most the root of
    ``support`` standard errors.

    Args:
        loss: How much worse than expected, in the metric's unit; negative where it is better.
        influence: ``(rows,)``, of each row on the loss.
        support: Number of rows that the metric rests on.
    """
    if loss <= 0:
        return 1.0
    return NormalDist().cdf(-loss / float(np.sqrt((influence**2).sum() + loss**2 / support)))
