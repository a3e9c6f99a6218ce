"""Distances between two samples from all of their values, what chance gives, and corrections for many tests.

The distances equal Evidently's ``wasserstein`` (normed) and ``jensenshannon`` up to rounding. Evidently copies and
sorts both samples together, which takes a minute for ten million rows; here each sample is sorted or counted once.

A permutation test mixes two samples, splits them again at random and measures the reported distance on each split.
The mean of the splits says how much of a distance is chance; the tail gives its p-value. The tail is that of a
gamma distribution with the same mean and variance, because the share of 200 splits cannot be smaller than 1 in
200, and many columns at once ask for less. Source: P. Mielke and K. Berry, Permutation Methods (2007), who use
Pearson's type III in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wasserstein(left: Floats, right: Floats) -> float:
    """The first Wasserstein distance, in the unit of the values.

    It is the area between the two quantile functions: how far a value moves on average to turn one sample into the
    other.

    Args:
        left, right: ``(n,)`` and ``(m,)``, sorted, finite, at least one value each.
    """
    few, many = (left, right) if len(left) <= len(right) else (right, left)
    n, m = len(few), len(many)
    # Each value of the smaller sample faces an equal share of the larger one: what lies below it, and above.
    edges = np.arange(n + 1, dtype=np.float64) * (m / n)
    edges[-1] = m
    crossing: Floats = np.clip(np.searchsorted(many, few).astype(np.float64), edges[:-1], edges[1:])
    at_edges = _partial_sums(many, edges)
    at_crossing = _partial_sums(many, crossing)
    area = few * (2 * crossing - edges[:-1] - edges[1:]) + at_edges[:-1] + at_edges[1:] - 2 * at_crossing
    return max(0.0, float(area.sum()) / m)


def _partial_sums(values: Floats, positions: Floats) -> Floats:
    """Sums of the values before each position. A fractional position takes that part of its value.

    Only the sums asked for are kept: those of all positions would be as large as the values.
    """
    whole = np.minimum(positions.astype(np.int64), len(values) - 1)
    starts = np.unique(np.r_[0, whole])
    before = np.r_[0.0, np.cumsum(np.add.reduceat(values, starts))[:-1]]
    sums: Floats = before[np.searchsorted(starts, whole)] + (positions - whole) * values[whole]
    return sums


def jensen_shannon(left: NDArray[Any], right: NDArray[Any]) -> Floats:
    """The Jensen-Shannon distance: 0 for equal shares, 0.83 (the root of ln 2) without a common category.

    Args:
        left, right: Counts by category, ``(..., categories)``; the last axis is compared.

    Returns:
        One distance for each row, ``(...)``.
    """
    from scipy.spatial.distance import jensenshannon

    with np.errstate(invalid="ignore"):  # the root of a zero that rounding made negative
        distance: Floats = np.nan_to_num(jensenshannon(left, right, axis=-1))
    return distance


Counts = NDArray[np.int64]

_SPLITS = 200
_CELLS = 4_000_000  # of all splits together: fewer splits where there are very many categories
_GRID = 2000  # values a side; chance shrinks with the root of the number of values, so the rest is arithmetic


@dataclass(frozen=True, slots=True)
class PermutationNull:
    """Distances between random splits of two samples.

    Attributes:
        distance: Root mean square of the distances, in their unit.
        p: Probability that random splits are at least as far apart as the samples.
    """

    distance: float
    p: float

    def beyond(self, distance: float) -> float:
        """The part of ``distance`` that is not chance.

        Squares add up: exactly for Jensen-Shannon, nearly for Wasserstein.
        """
        return math.sqrt(max(0.0, distance**2 - self.distance**2))


def wasserstein_null(reference: Floats, current: Floats, distance: float, seed: int) -> PermutationNull:
    """The null of the Wasserstein distance of two sorted samples, ``(n,)`` and ``(m,)``.

    Large samples are represented by two thousand evenly spaced values each.

    Args:
        distance: The measured one, whose p-value is asked for.
    """
    left, right = (
        side[((np.arange(shown) + 0.5) * (len(side) / shown)).astype(np.int64)]
        for side in (reference, current)
        for shown in [min(len(side), _GRID)]
    )
    mixed = np.sort(np.concatenate((left, right)))
    gaps = np.diff(mixed)
    weights = np.r_[np.full(len(left), 1 / len(left)), np.full(len(right), -1 / len(right))]
    splits = np.random.default_rng(seed).permuted(np.tile(weights, (_SPLITS, 1)), axis=1)
    apart = np.abs(np.cumsum(splits, axis=1)[:, :-1]) @ gaps
    shrunk = math.sqrt((1 / len(reference) + 1 / len(current)) / (1 / len(left) + 1 / len(right)))
    return _null_of(apart * shrunk, distance)


def jensen_shannon_null(
    mixed: Counts, reference_rows: int, distance: float, seed: int
) -> tuple[PermutationNull, float]:
    """The null of the Jensen-Shannon distance.

    Args:
        mixed: ``(categories,)``, how often each category occurs in both samples together; never 0.
        reference_rows: How many of these rows are the reference's.
        distance: The measured one, whose p-value is asked for.

    Returns:
        The null, and the share of the other rows, 0 to 1, that chance puts into categories which the reference
        lacks.
    """
    splits = np.random.default_rng(seed).multivariate_hypergeometric(
        mixed, reference_rows, size=max(30, min(_SPLITS, _CELLS // len(mixed))), method="marginals"
    )
    unseen = (mixed * (splits == 0)).sum(axis=1) / (mixed.sum() - reference_rows)
    return _null_of(jensen_shannon(splits, mixed - splits), distance), float(unseen.mean())


def share_change_p(before: tuple[int, int], now: tuple[int, int]) -> float:
    """P-value that two shares, each as (count, rows), are the same: chi-square with Yates' correction."""
    from scipy.stats import chi2_contingency

    table = [[count, rows - count] for count, rows in (before, now)]
    if not np.all(np.sum(table, axis=0)):
        return 1.0
    return float(chi2_contingency(table).pvalue)


def benjamini_hochberg(p_values: Sequence[float], false_discovery_rate: float) -> list[bool]:
    """Which p-values are significant, with at most ``false_discovery_rate`` of those being false on average.

    Source: Y. Benjamini and Y. Hochberg, Controlling the False Discovery Rate, J. R. Stat. Soc. B 57 (1995).
    """
    from scipy.stats import false_discovery_control

    return [bool(p <= false_discovery_rate) for p in false_discovery_control(p_values)] if p_values else []


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which p-values are significant, with a family-wise error rate of at most ``alpha``.

    Source: S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Stat. 6 (1979).

    >>> holm([0.04, 0.01, 0.03], 0.05)
    [False, True, False]
    """
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _null_of(splits: Floats, distance: float) -> PermutationNull:
    from scipy.special import gammaincc

    mean, variance = float(splits.mean()), float(splits.var())
    typical = math.sqrt(mean**2 + variance)
    if variance <= (1e-9 * mean) ** 2:  # all splits are alike, so there is no tail
        return PermutationNull(typical, 1.0 if distance <= mean * (1 + 1e-9) else 0.0)
    return PermutationNull(typical, float(gammaincc(mean**2 / variance, distance * mean / variance)))
