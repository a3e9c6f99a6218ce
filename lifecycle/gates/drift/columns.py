"""One column of today beside the same column of the reference: what can be measured, and what cannot."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pandas as pd

from lifecycle.gates.drift.categories import compare_categories
from lifecycle.gates.drift.numbers import compare_numbers, sort
from lifecycle.gates.drift.values import Values
from lifecycle.gates.kinds import Kind, kind_of
from lifecycle.statistics.chance import share_change_p

_log = logging.getLogger(__name__)

FEWEST_VALUES = 30
"""On either side, to compare a column at all."""


class Finding(StrEnum):
    """What can be said of a column."""

    STEADY = "steady"
    DRIFTED = "drifted"
    BEYOND = "beyond its limit"
    EMPTY = "empty on both sides"
    OTHER_KIND = "of another kind"
    UNJUDGED = "unjudged"
    BROKE = "broke"


@dataclass(frozen=True, slots=True)
class Share:
    """How large a share of a column is something, then and now, and how likely chance makes such a difference."""

    before: float
    now: float
    p: float

    @property
    def change(self) -> float:
        """Without its sign."""
        return abs(self.now - self.before)


@dataclass(frozen=True, slots=True)
class Column:
    """What was measured. Either ``values`` or ``problem``, which ``why`` explains.

    Attributes:
        nulls: Missing values; None where there are none on either side.
        infinite: Infinite numbers, likewise.
    """

    name: str
    nulls: Share | None = None
    infinite: Share | None = None
    values: Values | None = None
    problem: Finding | None = None
    why: str = ""


def measure(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> Column:
    """Compare one column. What breaks it is said and not raised: one column must not take the others down."""
    try:
        return _measure(name, reference, current, seed)
    except Exception as exc:
        _log.debug("drift of column %r broke", name, exc_info=True)
        return Column(name, problem=Finding.BROKE, why=type(exc).__name__)


def _measure(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> Column:
    kinds = kind_of(reference), kind_of(current)
    missing = int(reference.isna().sum()), int(current.isna().sum())
    nulls = _share(missing[0], len(reference), missing[1], len(current))
    known = [kind for kind in kinds if kind is not Kind.EMPTY]
    if not known:
        return Column(name, nulls, problem=Finding.EMPTY)
    if len(set(known)) > 1:
        return Column(name, nulls, problem=Finding.OTHER_KIND, why=f"was {kinds[0]}, is {kinds[1]}")
    fewest = min(len(reference) - missing[0], len(current) - missing[1])
    if fewest < FEWEST_VALUES:
        return _too_few(name, nulls, None, fewest)
    if known[0] is Kind.OTHER:
        return Column(name, nulls, problem=Finding.UNJUDGED, why=str(Kind.OTHER))
    if known[0] in (Kind.TEXT, Kind.BOOLEAN):
        return Column(name, nulls, values=compare_categories(reference, current, seed))
    return _measure_numbers(name, nulls, (reference, current), known[0], seed)


def _measure_numbers(
    name: str, nulls: Share | None, sides: tuple[pd.Series[Any], pd.Series[Any]], kind: Kind, seed: int
) -> Column:
    before, now = (sort(side, kind) for side in sides)
    infinite = _share(before.infinite, len(sides[0]), now.infinite, len(sides[1]))
    fewest = min(len(before.values), len(now.values))
    if fewest < FEWEST_VALUES:
        return _too_few(name, nulls, infinite, fewest)
    return Column(name, nulls, infinite, compare_numbers(before.values, now.values, kind, seed))


def _too_few(name: str, nulls: Share | None, infinite: Share | None, count: int) -> Column:
    why = f"only {count} values on one side; {FEWEST_VALUES} are needed"
    return Column(name, nulls, infinite, problem=Finding.UNJUDGED, why=why)


def _share(before: int, rows_before: int, now: int, rows_now: int) -> Share | None:
    if not before and not now:
        return None
    p = share_change_p((before, rows_before), (now, rows_now))
    return Share(before / rows_before, now / rows_now, p)
