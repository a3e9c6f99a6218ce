"""What chance alone gives: how far apart two samples are when nothing has changed.

One idea serves every kind of column and every size: mix the two samples, split them again at random, and measure
the very distance that is reported, as a permutation test does. The mean says how much of a distance is chance, the
tail how unlikely the distance is. The tail is that of a gamma distribution with the same mean and variance (Mielke
and Berry, Permutation Methods, 2007, do so with Pearson's type III), because the share of a few hundred splits can
be no smaller than 1 in a few hundred, and many columns at once ask for less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifecycle.gates.drift.distances import Floats, jensen_shannon

Counts = NDArray[np.int64]

_SPLITS = 200
_CELLS = 4_000_000  # of all splits together: fewer splits where there are very many categories
_GRID = 2000  # values a side; chance shrinks with the root of the number of values, so the rest is arithmetic


@dataclass(frozen=True, slots=True)
class Chance:
    """How far random splits are apart.

    Attributes:
        distance: Root of their mean squared distance.
        p: How likely they are as far apart as the samples are.
    """

    distance: float
    p: float

    def beyond(self, distance: float) -> float:
        """What of a distance is not chance. Squares add up: for Jensen-Shannon exactly, for Wasserstein nearly."""
        return math.sqrt(max(0.0, distance**2 - self.distance**2))


def chance_of_numbers(reference: Floats, current: Floats, distance: float, seed: int) -> Chance:
    """For the Wasserstein distance of two sorted samples.

    Large ones are represented by two thousand evenly spaced values each.
    """
    left, right = (side[_spread_over(len(side))] for side in (reference, current))
    mixed = np.sort(np.concatenate((left, right)))
    gaps = np.diff(mixed)
    weights = np.r_[np.full(len(left), 1 / len(left)), np.full(len(right), -1 / len(right))]
    splits = np.random.default_rng(seed).permuted(np.tile(weights, (_SPLITS, 1)), axis=1)
    apart = np.abs(np.cumsum(splits, axis=1)[:, :-1]) @ gaps
    shrunk = math.sqrt(_noise(len(reference), len(current)) / _noise(len(left), len(right)))
    return _chance(apart * shrunk, distance)


def chance_of_categories(mixed: Counts, reference_rows: int, distance: float, seed: int) -> tuple[Chance, float]:
    """For the Jensen-Shannon distance.

    Args:
        mixed: How often each category occurs in both samples together, never 0.
        reference_rows: How many of these rows are the reference's.

    Returns:
        The distances, and the share of the other rows that are in categories which the reference lacks by chance.
    """
    splits = np.random.default_rng(seed).multivariate_hypergeometric(
        mixed, reference_rows, size=max(30, min(_SPLITS, _CELLS // len(mixed))), method="marginals"
    )
    unseen = (mixed * (splits == 0)).sum(axis=1) / (mixed.sum() - reference_rows)
    return _chance(jensen_shannon(splits, mixed - splits), distance), float(unseen.mean())


def chance_of_shares(before: tuple[int, int], now: tuple[int, int]) -> float:
    """How likely two shares, each as (count, rows), differ this much by chance: chi-square, corrected (Yates)."""
    from scipy.stats import chi2_contingency

    table = [[count, rows - count] for count, rows in (before, now)]
    if not np.all(np.sum(table, axis=0)):
        return 1.0
    return float(chi2_contingency(table).pvalue)


def significant(p_values: Sequence[float], false_discovery_rate: float) -> list[bool]:
    """Which of many stand out, so that at most this share of those does so by chance (Benjamini & Hochberg)."""
    from scipy.stats import false_discovery_control

    return [bool(p <= false_discovery_rate) for p in false_discovery_control(p_values)] if p_values else []


def _chance(splits: Floats, distance: float) -> Chance:
    from scipy.special import gammaincc

    mean, variance = float(splits.mean()), float(splits.var())
    typical = math.sqrt(mean**2 + variance)
    if variance <= (1e-9 * mean) ** 2:  # every split is alike: nothing to be unlikely
        return Chance(typical, 1.0 if distance <= mean * (1 + 1e-9) else 0.0)
    return Chance(typical, float(gammaincc(mean**2 / variance, distance * mean / variance)))


def _spread_over(count: int) -> NDArray[np.int64]:
    """Positions of evenly spaced values; all of them where they are few."""
    shown = min(count, _GRID)
    return ((np.arange(shown) + 0.5) * (count / shown)).astype(np.int64)


def _noise(left: int, right: int) -> float:
    return 1 / left + 1 / right
