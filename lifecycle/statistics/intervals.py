"""Confidence intervals and p-values of a metric, from the influence of each row on it."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def confidence_interval(
    value: float, influence: Array, confidence: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Two-sided normal confidence interval of a metric.

    Args:
        influence: ``(rows,)``, see :mod:`lifecycle.statistics.influence`.
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
