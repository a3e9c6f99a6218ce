"""Distance of one column between reference and current rows: numbers, categories and nulls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifecycle.data.dataset import drawn
from lifecycle.gates.column_types import ColumnType, column_type
from lifecycle.statistics.distances import (
    Counts,
    Floats,
    PermutationNull,
    jensen_shannon,
    jensen_shannon_null,
    share_change_p,
    wasserstein,
    wasserstein_null,
)


@dataclass(frozen=True, slots=True)
class BinShares:
    """Shares of rows by bin (``ordered``) or category, 0 to 1; all three have equal length."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    current: tuple[float, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class ValueDrift:
    """Distance between the reference's and the current values of a column.

    Attributes:
        distance: Equal to Evidently's.
        chance: Distances of random splits of the same values.
        unit: Readable kind of the distance.
        new: Share of the current values in categories that the reference lacks, beyond what chance gives.
        missing: Share of the reference's values in categories that the current rows lack.
    """

    distance: float
    chance: PermutationNull
    unit: str
    picture: BinShares
    new: float = 0.0
    missing: float = 0.0

    @property
    def beyond(self) -> float:
        """The part of the distance that is not chance."""
        return self.chance.beyond(self.distance)


_log = logging.getLogger(__name__)
FEWEST_VALUES = 30
"""Fewest values on either side to compare a column."""


class ColumnStatus(StrEnum):
    """Result of judging one column."""

    STEADY = "steady"
    DRIFTED = "drifted"
    BEYOND = "beyond its limit"
    EMPTY = "empty on both sides"
    OTHER_KIND = "of another kind"
    UNJUDGED = "unjudged"
    BROKE = "broke"


@dataclass(frozen=True, slots=True)
class ShareChange:
    """Share of a column's rows, 0 to 1, in reference and current rows, and the p-value of the difference."""

    before: float
    now: float
    p: float

    @property
    def change(self) -> float:
        """Absolute difference of the two shares."""
        return abs(self.now - self.before)


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """Measurements of one column. Either ``values`` or ``problem``, which ``why`` explains.

    Attributes:
        nulls: Share of missing values; None if there are none.
        infinite: Share of infinite numbers; None if there are none.
    """

    name: str
    nulls: ShareChange | None = None
    infinite: ShareChange | None = None
    values: ValueDrift | None = None
    problem: ColumnStatus | None = None
    why: str = ""


def measure(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> ColumnDrift:
    """Compare one column. An error becomes a BROKE result, so that the other columns are still compared."""
    try:
        return _measure(name, reference, current, seed)
    except Exception as exc:
        _log.debug("drift of column %r broke", name, exc_info=True)
        return ColumnDrift(name, problem=ColumnStatus.BROKE, why=type(exc).__name__)


def _measure(name: str, reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> ColumnDrift:
    kinds = column_type(reference), column_type(current)
    missing = int(reference.isna().sum()), int(current.isna().sum())
    nulls = _share(missing[0], len(reference), missing[1], len(current))
    known = [kind for kind in kinds if kind is not ColumnType.EMPTY]
    if not known:
        return ColumnDrift(name, nulls, problem=ColumnStatus.EMPTY)
    if len(set(known)) > 1:
        return ColumnDrift(name, nulls, problem=ColumnStatus.OTHER_KIND, why=f"was {kinds[0]}, is {kinds[1]}")
    fewest = min(len(reference) - missing[0], len(current) - missing[1])
    if fewest < FEWEST_VALUES:
        return _too_few(name, nulls, None, fewest)
    if known[0] is ColumnType.OTHER:
        return ColumnDrift(name, nulls, problem=ColumnStatus.UNJUDGED, why=str(ColumnType.OTHER))
    if known[0] in (ColumnType.TEXT, ColumnType.BOOLEAN):
        return ColumnDrift(name, nulls, values=compare_categories(reference, current, seed))
    return _measure_numbers(name, nulls, (reference, current), known[0], seed)


def _measure_numbers(
    name: str, nulls: ShareChange | None, sides: tuple[pd.Series[Any], pd.Series[Any]], kind: ColumnType, seed: int
) -> ColumnDrift:
    (before, infinite_before), (now, infinite_now) = (sort(side, kind) for side in sides)
    infinite = _share(infinite_before, len(sides[0]), infinite_now, len(sides[1]))
    fewest = min(len(before), len(now))
    if fewest < FEWEST_VALUES:
        return _too_few(name, nulls, infinite, fewest)
    return ColumnDrift(name, nulls, infinite, compare_numbers(before, now, kind, seed))


def _too_few(name: str, nulls: ShareChange | None, infinite: ShareChange | None, count: int) -> ColumnDrift:
    why = f"only {count} values on one side; {FEWEST_VALUES} are needed"
    return ColumnDrift(name, nulls, infinite, problem=ColumnStatus.UNJUDGED, why=why)


def _share(before: int, rows_before: int, now: int, rows_now: int) -> ShareChange | None:
    if not before and not now:
        return None
    p = share_change_p((before, rows_before), (now, rows_now))
    return ShareChange(before / rows_before, now / rows_now, p)


_BINS = 20
_TAIL = 0.01  # share of the reference below and above the bins, on each side


def sort(column: pd.Series[Any], kind: ColumnType) -> tuple[Floats, int]:
    """The finite values in ascending order, datetimes as seconds since 1970; and the number of infinite ones."""
    values = np.sort(_as_floats(column, kind))  # -inf first, inf later, NaN last
    first = np.searchsorted(values, -np.inf, side="right")
    last, end = np.searchsorted(values, (np.inf, np.nan), side="left")
    return values[first:last], int(first + end - last)


def compare_numbers(reference: Floats, current: Floats, kind: ColumnType, seed: int) -> ValueDrift:
    """Compare two sorted samples. Both arrays are scaled in place by the reference's standard deviation.

    Evidently divides by the standard deviation too, but never by less than 0.001, which hides any change in
    a column of small numbers. A reference with a single value has no scale: that value is then a category.
    """
    show = _moment if kind is not ColumnType.NUMBER else "{:.4g}".format
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
    picture = _histogram(reference, current, lambda value: show(value * scale + middle))
    return ValueDrift(distance, chance, "Wasserstein distance", picture)


def _compare_constant(reference: Floats, current: Floats, show: Callable[[float], str], seed: int) -> ValueDrift:
    value = float(reference[0])
    same = int(np.searchsorted(current, value, "right") - np.searchsorted(current, value, "left"))
    before, now = np.array([len(reference), 0]), np.array([same, len(current) - same])
    distance = float(jensen_shannon(before, now))
    mixed = before + now
    chance, unseen = jensen_shannon_null(mixed[mixed > 0], len(reference), distance, seed)
    different, same_share = now[1] / len(current), same / len(current)
    picture = BinShares((show(value), "other"), (1.0, 0.0), (same_share, different))
    missing = 0.0 if same else 1.0
    return ValueDrift(distance, chance, "Jensen-Shannon distance", picture, max(0.0, different - unseen), missing)


def _as_floats(column: pd.Series[Any], kind: ColumnType) -> Floats:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if kind is ColumnType.NUMBER:
        numbers: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = pd.to_datetime(column, utc=True)
    moments = column.to_numpy(dtype="datetime64[us]")  # in UTC, where there is a time zone
    seconds: Floats = moments.view(np.int64) / 1e6
    seconds[np.isnat(moments)] = np.nan
    return seconds


def _histogram(reference: Floats, current: Floats, show: Callable[[float], str]) -> BinShares:
    different = reference[np.r_[True, np.diff(reference) > 0]]
    if len(different) <= _BINS:  # edges half-way between the values
        half = np.diff(different) / 2
        edges = np.r_[different[0] - half[0], different[:-1] + half, different[-1] + half[-1]]
        labels = [show(value) for value in different]
    else:
        low, high = reference[[int(_TAIL * len(reference)), int((1 - _TAIL) * (len(reference) - 1))]]
        low, high = reference[[0, -1]] if low == high else (low, high)
        edges = np.linspace(low, high, _BINS + 1)
        labels = [f"{show(low)} to {show(high)}" for low, high in pairwise(edges)]
    labels = [f"below {labels[0].split(' to ')[0]}", *labels, f"above {labels[-1].split(' to ')[-1]}"]
    return BinShares(tuple(labels), _shares(reference, edges), _shares(current, edges), ordered=True)


def _shares(values: Floats, edges: Floats) -> tuple[float, ...]:
    before = np.searchsorted(values, edges)
    before[-1] = np.searchsorted(values, edges[-1], "right")
    counts = np.diff(np.r_[0, before, len(values)])
    return tuple((counts / len(values)).tolist())


def _moment(seconds: float) -> str:
    return str(np.datetime_as_string(np.datetime64(int(seconds), "s"), unit="m"))


_MIXED_ROWS = 100_000  # values per side for random splits
_SHOWN = 12
_LONGEST = 40  # most characters of a category's name in a chart


def compare_categories(reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> ValueDrift:
    """Compare two samples of categories; nulls are left out.

    Categories that the reference lacks are counted together: the distance stays the same, and memory is bounded by
    the reference's categories.
    """
    before, now = _values(reference), _values(current)
    known = pc.unique(before)
    counts = np.array([_counts(before, known), _counts(now, known)])
    distance = float(jensen_shannon(*counts))
    parts = [taken(side, drawn(len(side), _MIXED_ROWS, seed)) for side in (before, now)]
    mixed = pc.value_counts(pa.chunked_array([*parts[0].chunks, *parts[1].chunks])).field("counts").to_numpy()
    chance, unseen = jensen_shannon_null(mixed, len(parts[0]), distance, seed)
    new = float(counts[1, -1] / len(now))
    missing = float(counts[0, counts[1] == 0].sum() / len(before))
    return ValueDrift(
        distance,
        chance,
        "Jensen-Shannon distance",
        _category_shares(known, counts),
        max(0.0, new - unseen),
        missing,
    )


def _values(column: pd.Series[Any]) -> pa.ChunkedArray:
    values = as_arrow(column)
    values = values.drop_null() if values.null_count else values
    return values if pa.types.is_boolean(values.type) else values.cast(pa.large_string())


def _counts(values: pa.ChunkedArray, known: pa.Array) -> Counts:
    """Counts of each known category, and last of all others together."""
    counts: Counts = np.zeros(len(known) + 1, dtype=np.int64)
    for piece in pieces(values):
        places = pc.fill_null(pc.index_in(piece, value_set=known), len(known))
        counts += np.bincount(places.to_numpy(zero_copy_only=False), minlength=len(counts))
    return counts


def _category_shares(known: pa.Array, counts: Counts) -> BinShares:
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.argsort(-shares[0, :-1], kind="stable")
    shown, rest = order[:_SHOWN], order[_SHOWN:]
    labels = [str(known[int(i)].as_py())[:_LONGEST] for i in shown]
    columns = shares[:, shown]
    if len(rest):
        labels.append(f"other ({len(rest)})")
        columns = np.c_[columns, shares[:, rest].sum(axis=1)]
    if counts[1, -1]:
        labels.append("new")
        columns = np.c_[columns, shares[:, -1]]
    before, now = columns.tolist()
    return BinShares(tuple(labels), tuple(before), tuple(now))


_AT_ONCE = 1_000_000


def as_arrow(column: pd.Series[Any]) -> pa.ChunkedArray:
    """A column of text or true/false as an Arrow array; categoricals are decoded."""
    array = pa.array(column, from_pandas=True)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def pieces(values: pa.ChunkedArray) -> Iterator[pa.Array]:
    """All values in order, at most a million at a time."""
    for chunk in values.chunks:
        for start in range(0, len(chunk), _AT_ONCE):
            yield chunk.slice(start, _AT_ONCE)


def taken(values: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.ChunkedArray:
    """The values of some rows, given in ascending order."""
    start, found = 0, []
    for piece in pieces(values):
        first, last = np.searchsorted(rows, (start, start + len(piece)))
        found.append(piece.take(pa.array(rows[first:last] - start)))
        start += len(piece)
    return pa.chunked_array(found, type=values.type)


def rows_of(column: pd.Series[Any], rows: NDArray[np.int64]) -> pd.Series[Any]:
    """Some rows of a column, given in ascending order."""
    if not isinstance(column.dtype, pd.StringDtype):
        return column.iloc[rows].reset_index(drop=True)
    series: pd.Series[Any] = taken(as_arrow(column), rows).to_pandas()
    return series.astype(column.dtype).rename(column.name)
