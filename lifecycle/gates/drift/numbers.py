"""Numbers and datetimes: sorted once, then compared by Wasserstein distance in the reference's deviations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.gates.drift.values import Picture, Values
from lifecycle.gates.kinds import Kind
from lifecycle.statistics.chance import jensen_shannon_null, wasserstein_null
from lifecycle.statistics.distances import Floats, jensen_shannon, wasserstein

_BINS = 20
_TAIL = 0.01  # of the reference, on either side, is not in the bins but below or above them


@dataclass(frozen=True, slots=True)
class Sorted:
    """The finite values of a column in ascending order, and how many infinite ones there are."""

    values: Floats
    infinite: int


def sort(column: pd.Series[Any], kind: Kind) -> Sorted:
    """Numbers as they are, datetimes as seconds since 1970; nulls are left out."""
    values = np.sort(_as_floats(column, kind))  # -inf first, inf later, NaN last
    first = np.searchsorted(values, -np.inf, side="right")
    last, end = np.searchsorted(values, (np.inf, np.nan), side="left")
    return Sorted(values[first:last], int(first + end - last))


def compare_numbers(reference: Floats, current: Floats, kind: Kind, seed: int) -> Values:
    """Of two sorted samples. Both are changed: they are brought to the reference's scale in place.

    Evidently divides by the standard deviation too, but never by less than 0.001, which hides any change in
    a column of small numbers. A reference of one single value has no scale: that value is then a category.
    """
    show = _moment if kind is not Kind.NUMBER else "{:.4g}".format
    if reference[0] == reference[-1]:
        return _compare_constant(reference, current, show, seed)
    middle = float(reference[len(reference) // 2])
    reference -= middle
    current -= middle
    largest = float(np.abs(reference[[0, -1]]).max())  # so that squares stay finite
    scale = largest * float(np.std(reference / largest))
    reference /= scale
    current /= scale
    if not np.isfinite((reference[0], reference[-1], current[0], current[-1])).all():
        raise OverflowError("the values are too far apart to subtract")
    distance = wasserstein(reference, current)
    chance = wasserstein_null(reference, current, distance, seed)
    picture = _picture(reference, current, lambda value: show(value * scale + middle))
    return Values(distance, chance, "Wasserstein distance", picture)


def _compare_constant(reference: Floats, current: Floats, show: Callable[[float], str], seed: int) -> Values:
    value = float(reference[0])
    same = int(np.searchsorted(current, value, "right") - np.searchsorted(current, value, "left"))
    before, now = np.array([len(reference), 0]), np.array([same, len(current) - same])
    distance = float(jensen_shannon(before, now))
    mixed = before + now
    chance, unseen = jensen_shannon_null(mixed[mixed > 0], len(reference), distance, seed)
    different, same_share = now[1] / len(current), same / len(current)
    picture = Picture((show(value), "other"), (1.0, 0.0), (same_share, different))
    missing = 0.0 if same else 1.0
    return Values(distance, chance, "Jensen-Shannon distance", picture, max(0.0, different - unseen), missing)


def _as_floats(column: pd.Series[Any], kind: Kind) -> Floats:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if kind is Kind.NUMBER:
        numbers: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = pd.to_datetime(column, utc=True)
    moments = column.to_numpy(dtype="datetime64[us]")  # in UTC, where there is a time zone
    seconds: Floats = moments.view(np.int64) / 1e6
    seconds[np.isnat(moments)] = np.nan
    return seconds


def _picture(reference: Floats, current: Floats, show: Callable[[float], str]) -> Picture:
    different = reference[np.r_[True, np.diff(reference) > 0]]
    if len(different) <= _BINS:
        edges, labels = _around(different), [show(value) for value in different]
    else:
        edges = _edges(reference)
        labels = [f"{show(low)} to {show(high)}" for low, high in pairwise(edges)]
    labels = [f"below {labels[0].split(' to ')[0]}", *labels, f"above {labels[-1].split(' to ')[-1]}"]
    return Picture(tuple(labels), _shares(reference, edges), _shares(current, edges), ordered=True)


def _around(different: Floats) -> Floats:
    """Bin edges half-way between values."""
    half = np.diff(different) / 2
    edges: Floats = np.r_[different[0] - half[0], different[:-1] + half, different[-1] + half[-1]]
    return edges


def _edges(reference: Floats) -> Floats:
    low, high = reference[[int(_TAIL * len(reference)), int((1 - _TAIL) * (len(reference) - 1))]]
    if low == high:
        low, high = reference[[0, -1]]
    return np.linspace(low, high, _BINS + 1)


def _shares(values: Floats, edges: Floats) -> tuple[float, ...]:
    before = np.searchsorted(values, edges)
    before[-1] = np.searchsorted(values, edges[-1], "right")
    counts = np.diff(np.r_[0, before, len(values)])
    return tuple((counts / len(values)).tolist())


def _moment(seconds: float) -> str:
    return str(np.datetime_as_string(np.datetime64(int(seconds), "s"), unit="m"))
