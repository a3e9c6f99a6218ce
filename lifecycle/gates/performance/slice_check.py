"""Whether a model holds up on every slice of the rows, and not just on the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lifecycle.gates.performance.answers import Unmeasurable
from lifecycle.gates.performance.measured import Measured
from lifecycle.gates.performance.slices import Slice
from lifecycle.statistics.chance import holm
from lifecycle.statistics.intervals import one_sided_p

MIN_SUPPORT = 10
"""Rows of each class that a slice needs, where the metric compares classes: with fewer nothing is ever certain."""


@dataclass(frozen=True, slots=True)
class SliceLimits:
    """What a slice is held against; at least one of the first two.

    Attributes:
        limit: Lowest value that passes, or highest, as the metric goes; or None.
        max_drop: How much worse than the champion on the same rows, or None.
        min_rows: Smaller slices are not judged.
        confidence: That no slice of a good model is blamed.
    """

    limit: float | None
    max_drop: float | None
    min_rows: int
    confidence: float


@dataclass(frozen=True, slots=True)
class SliceResult:
    """What is known of one slice.

    Attributes:
        ours, champion: Measured on the slice; without champion where there is none to compare with.
        missed: Whether it is beyond the limit, and not by chance.
        dropped: Whether it is worse than the champion by more than is allowed, and not equal by chance.
        within_chance: Whether it is beyond a limit in a way that chance explains.
    """

    slice: Slice
    ours: Measured
    champion: Measured | None
    missed: bool = False
    dropped: bool = False
    within_chance: bool = False

    @property
    def failed(self) -> bool:
        """Whether the gate objects to it."""
        return self.missed or self.dropped

    def loss_to(self, whole: Measured) -> float:
        """How much worse it is than the champion, or without one than the model on all rows."""
        return self.ours.loss_to(self.champion.value if self.champion else whole.value)


def check_slices(
    slices: Sequence[Slice], ours: Measured, champion: Measured | None, limits: SliceLimits
) -> list[SliceResult]:
    """The slices that can be judged, worst first.

    A slice fails when it is beyond a limit and chance does not explain it: that it is at the limit, or as good as
    the champion, is rejected with the tests of all slices taken together, so that with probability ``confidence``
    no slice of a model that is as good everywhere is blamed.
    """
    results = [r for s in slices if len(s.rows) >= limits.min_rows and (r := _measure(s, ours, champion))]
    tests = [test for index, result in enumerate(results) for test in _tests(index, result, limits)]
    believed = holm([test.chance for test in tests], 1 - limits.confidence)
    for test, sure in zip(tests, believed, strict=True):
        if test.beyond:
            results[test.index] = _told(results[test.index], test, sure=sure)
    return sorted(results, key=lambda r: (not r.failed, -r.loss_to(ours), r.slice.name))


@dataclass(frozen=True, slots=True)
class _Test:
    """One slice against one limit."""

    index: int
    paired: bool
    beyond: bool
    chance: float


def _tests(index: int, result: SliceResult, limits: SliceLimits) -> Iterator[_Test]:
    ours, champion = result.ours, result.champion
    if limits.limit is not None:
        shortfall = ours.loss_to(limits.limit)
        yield _Test(index, False, shortfall > 0, one_sided_p(shortfall, ours.influence, ours.support))
    if limits.max_drop is not None and champion is not None:
        drop, support = ours.loss_to(champion.value), min(ours.support, champion.support)
        paired = ours.influence - champion.influence
        yield _Test(index, True, drop > limits.max_drop, one_sided_p(drop, paired, support))


def _told(result: SliceResult, test: _Test, *, sure: bool) -> SliceResult:
    if not sure:
        return replace(result, within_chance=True)
    return replace(result, dropped=True) if test.paired else replace(result, missed=True)


def _measure(part: Slice, ours: Measured, champion: Measured | None) -> SliceResult | None:
    """None where too few rows count for the metric, or it has no value."""
    if min(m.support_at(part.rows) for m in (ours, champion) if m) < MIN_SUPPORT:
        return None
    try:
        return SliceResult(part, ours.at(part.rows), champion.at(part.rows) if champion else None)
    except Unmeasurable:
        return None
