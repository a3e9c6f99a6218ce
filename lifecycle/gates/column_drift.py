"""Whether one column of today looks like the same column of the reference."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.gates.kinds import Kind, kind_of
from lifecycle.gates.verdicts import percent

_log = logging.getLogger(__name__)

THRESHOLD = 0.1
"""Evidently's own threshold for both distances."""
_MOST_CHANCE = 0.3  # where chance alone moves a column three thresholds far, the distance says nothing
_FEWEST_VALUES = 30


class Finding(StrEnum):
    """What can be said of a column."""

    STEADY = "steady"
    DRIFTED = "drifted"
    EMPTY = "empty on both sides"
    UNJUDGED = "unjudged"
    BROKE = "broke"


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column's finding, with its distance where one was measured, in words for people."""

    name: str
    finding: Finding
    words: str
    distance: float | None = None


def judge_column(
    name: str, reference: pd.Series[Any], current: pd.Series[Any], max_null_change: float, seed: int
) -> ColumnDrift:
    """Compare two samples of one column that hold the same kind of values.

    A share of nulls that changes by more than ``max_null_change``, or infinite values where there were
    none, is drift by definition. Else numbers and datetimes drift by their Wasserstein distance, all
    others by their Jensen-Shannon distance: when it is more than :data:`THRESHOLD` beyond what chance gives.
    """
    try:
        return _by_nulls(name, reference, current, max_null_change) or _by_values(
            name, reference.dropna(), current.dropna(), seed
        )
    except Exception as exc:  # one column must not take the others down
        _log.debug("drift of column %r broke", name, exc_info=True)
        return ColumnDrift(name, Finding.BROKE, f"{name!r} ({type(exc).__name__})")


def _by_nulls(
    name: str, reference: pd.Series[Any], current: pd.Series[Any], max_change: float
) -> ColumnDrift | None:
    """The finding where nulls alone decide, else None."""
    before, now = float(reference.isna().mean()), float(current.isna().mean())
    if before == now == 1:
        return ColumnDrift(name, Finding.EMPTY, repr(name))
    if abs(now - before) > max_change:
        return ColumnDrift(name, Finding.DRIFTED, f"{name!r} (nulls: {percent(before)}, now {percent(now)})")
    fewest = min(int(reference.notna().sum()), int(current.notna().sum()))
    if fewest < _FEWEST_VALUES:
        return ColumnDrift(name, Finding.UNJUDGED, f"{name!r} (only {fewest} values on one side)")
    return None


def _by_values(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> ColumnDrift:
    from lifecycle.gates.evidently_run import category_distance, number_distance

    distance_of = category_distance
    if kind_of(reference) in (Kind.NUMBER, Kind.DATETIME, Kind.ZONED_DATETIME):
        reference, current = _as_numbers(reference), _as_numbers(current)
        if not np.isfinite(reference).all():
            return ColumnDrift(name, Finding.UNJUDGED, f"{name!r} (infinite values in the reference)")
        if not np.isfinite(current).all():
            return ColumnDrift(name, Finding.DRIFTED, f"{name!r} (infinite values)")
        # A single number has no scale to measure by; as a category it is either met or not.
        distance_of = number_distance if reference.nunique() > 1 else category_distance
    distance = distance_of(reference, current)
    if distance <= THRESHOLD:
        return ColumnDrift(name, Finding.STEADY, repr(name), distance)
    chance = _by_chance(distance_of, reference, len(current), seed)
    if chance > _MOST_CHANCE:
        words = f"{name!r} ({reference.nunique():,} different values are too many for {len(current):,} rows)"
        return ColumnDrift(name, Finding.UNJUDGED, words, distance)
    finding = Finding.DRIFTED if distance > THRESHOLD + chance else Finding.STEADY
    return ColumnDrift(name, finding, f"{name!r} ({distance:.2f}, chance gives {chance:.2f})", distance)


def _by_chance(
    distance_of: Callable[[pd.Series[Any], pd.Series[Any]], float],
    reference: pd.Series[Any],
    rows: int,
    seed: int,
) -> float:
    """How far the reference is from itself: two parts of it, one as large as the current sample.

    Small samples of many categories are far apart even where nothing has changed.
    """
    shuffled = reference.sample(frac=1, random_state=seed)
    part = min(rows, len(reference) // 2)
    return distance_of(shuffled.iloc[part:], shuffled.iloc[:part])


def _as_numbers(values: pd.Series[Any]) -> pd.Series[Any]:
    if kind_of(values) is Kind.NUMBER:
        return values.astype(float)
    moments = pd.to_datetime(values, utc=True)
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
