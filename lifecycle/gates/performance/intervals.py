"""How sure a measured value is, and which losses chance does not explain."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def interval(
    value: float, influence: Array, confidence: float, bounds: tuple[float, float]
) -> tuple[float, float]:
    """The two-sided confidence interval of a metric, within what the metric can be.

    Args:
        influence: See :mod:`lifecycle.gates.performance.influence`.
        confidence: Such as 0.95.
    """
    half = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.sqrt((influence**2).sum()))
    return max(value - half, bounds[0]), min(value + half, bounds[1])


def chance_of(loss: float, influence: Array, support: int) -> float:
    """How probable so large a loss is where there is none: a one-sided p-value.

    The loss itself is part of the variance, as in McNemar's test. Otherwise a few rows that all go the same way,
    and so have no variance, would be certain; with it no loss on ``support`` rows is beyond its square root.

    Args:
        loss: How much worse than expected; what is better is negative.
        influence: Of each row on the loss.
        support: Rows that the metric rests on.
    """
    if loss <= 0:
        return 1.0
    return NormalDist().cdf(-loss / float(np.sqrt((influence**2).sum() + loss**2 / support)))


def not_by_chance(chances: Sequence[float], alpha: float) -> list[bool]:
    """Which of them to believe, so that with probability ``alpha`` at most any one is believed wrongly.

    Source: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Stat. 6 (1979).
    """
    believed = [False] * len(chances)
    for rank, index in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        if chances[index] > alpha / (len(chances) - rank):
            break
        believed[index] = True
    return believed
