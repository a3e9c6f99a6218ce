"""Derives a Great Expectations suite from reference rows, as plain JSON: importing the library takes 6 s.

The bounds accept clean data of later months and catch broken data: nulls that leak in, another unit, swapped
columns, new garbage categories, a column that is stuck, rows that come twice. Gradual change is left to the
drift gate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lifecycle.gates.column_types import ColumnType, as_judged, column_type

Expectation = dict[str, Any]
Demand = tuple[str, dict[str, Any]]
NUMBER_TYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
"""Whole numbers turn into floats as soon as one is missing, and pandas has a dozen spellings of either."""
_TYPES: Mapping[ColumnType, Sequence[str]] = {
    ColumnType.NUMBER: NUMBER_TYPES,
    ColumnType.TEXT: ("str",),
    ColumnType.BOOLEAN: ("bool",),
    ColumnType.DATETIME: ("datetime64[ns]",),
}
_SLACK = 0.5  # a later month may exceed the reference by half of its range
_MOSTLY = 0.99  # and one row in a hundred may exceed it further
_YEARS_AHEAD = pd.DateOffset(years=10)  # later times are normal; times far ahead stand for "never"
_MOST_CATEGORIES = 1000
_UNSEEN = 0.02
_VARIED = 0.9  # if its most common value is in no more rows than this, a hundred rows don't all hold it by chance
_FEWEST_FOR_IDENTIFIER = 1000
_FEWER_ROWS = 1000  # one day may be judged by the rows of two years


def derive_suite(rows: pd.DataFrame, name: str = "reference", *, count: int | None = None) -> dict[str, Any]:
    """Derive a suite that ``rows`` themselves meet with a margin.

    Args:
        rows: Inputs only, at least one row. Of a column that is all null only existence is demanded.
        name: Name of the suite.
        count: How many rows there are, where ``rows`` are a sample of them.

    Returns:
        What ``ExpectationSuite(**suite)`` of Great Expectations 1.x takes.
    """
    count = len(rows) if count is None else count
    expectations = [_expect("table_row_count_to_be_between", min_value=max(1, count // _FEWER_ROWS))]
    for column in rows.columns:
        expectations += _of_column(column, as_judged(rows[[column]])[column])
    return {"name": name, "meta": {"derived_from_rows": count}, "expectations": expectations}


def _of_column(name: str, values: pd.Series[Any]) -> list[Expectation]:
    kind = column_type(values)
    expectations: list[Demand] = [("to_exist", {})]
    if kind is not ColumnType.EMPTY:
        expectations += [*_of_type(kind), *_of_nulls(values), *_of_values(kind, values.dropna())]
    return [_expect(f"column_{what}", column=name, **arguments) for what, arguments in expectations]


def _of_type(kind: ColumnType) -> list[Demand]:
    if kind is ColumnType.ZONED_DATETIME:  # in a list of types Great Expectations knows none with a time zone
        return [("values_to_be_of_type", {"type_": "Timestamp"})]
    return [("values_to_be_in_type_list", {"type_list": list(_TYPES[kind])})] if kind in _TYPES else []


def _of_nulls(values: pd.Series[Any]) -> list[Demand]:
    """At most 1.5 times the reference's share of nulls plus 2 %: cancelled flights, for one, cluster in time."""
    mostly = round(1 - (1.5 * float(values.isna().mean()) + 0.02), 4)
    return [("values_to_not_be_null", {"mostly": mostly})] if mostly > 0 else []


def _of_values(kind: ColumnType, values: pd.Series[Any]) -> list[Demand]:
    if _is_identifier(kind, values):
        return [("values_to_be_unique", {"mostly": _MOSTLY})]
    match kind:
        case ColumnType.NUMBER:
            return _of_numbers(values.astype(float))
        case ColumnType.TEXT:
            return [*_of_categories(values), *_of_variety(values)]
        case ColumnType.BOOLEAN:
            return _of_variety(values)
        case ColumnType.DATETIME | ColumnType.ZONED_DATETIME:
            return [*_of_moments(values), *_of_variety(values)]
    return []


def _is_identifier(kind: ColumnType, values: pd.Series[Any]) -> bool:
    """Whether it identifies rows: whole numbers or texts without duplicates. Later rows will have others."""
    if len(values) < _FEWEST_FOR_IDENTIFIER or kind not in (ColumnType.NUMBER, ColumnType.TEXT):
        return False
    return bool(values.is_unique) and (kind is ColumnType.TEXT or bool((values.astype(float) % 1 == 0).all()))


def _of_numbers(values: pd.Series[Any]) -> list[Demand]:
    """The range catches absurd values; median and standard deviation catch another unit or column within it."""
    values = values[np.isfinite(values)]
    if values.empty:
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        lowest, low, high, highest = (float(v) for v in values.quantile([0.0, 0.3, 0.7, 1.0]))
        slack = _SLACK * (highest - lowest)
        deviation = float(values.std())
    # A single value, or the same in every row, has no spread. Units differ by more than a factor of three more
    # often than not; months don't.
    # If nearly all rows hold one value, it may be all that later rows have.
    least = deviation / 3 if _is_varied(values) else -math.inf
    spread = _bounds(least, deviation * 3) if deviation > 0 else {}
    demands: list[tuple[str, dict[str, float], dict[str, float]]] = [
        ("values_to_be_between", _bounds(lowest - slack, highest + slack), {"mostly": _MOSTLY}),
        ("median_to_be_between", _bounds(low, high), {}),
        ("stdev_to_be_between", spread, {}),
    ]
    return [(what, bounds | more) for what, bounds, more in demands if bounds]


def _bounds(low: float, high: float) -> dict[str, float]:
    """The finite ones of the two bounds: the range of the largest floats overflows."""
    return {key: v for key, v in (("min_value", low), ("max_value", high)) if math.isfinite(v)}


def _of_moments(values: pd.Series[Any]) -> list[Demand]:
    """Neither long before the reference, as another unit of time would be, nor years ahead."""
    lowest, highest = values.min(), values.max()
    try:
        bounds = {
            "min_value": (lowest - _SLACK * (highest - lowest)).isoformat(),
            "max_value": (highest + _YEARS_AHEAD).isoformat(),
        }
    except (OverflowError, pd.errors.OutOfBoundsDatetime):  # the reference itself stands for "never"
        return []
    return [("values_to_be_between", bounds | {"mostly": _MOSTLY})]


def _of_categories(values: pd.Series[Any]) -> list[Demand]:
    """The set of categories, unless new ones keep coming: identifiers, names or free text.

    The probability that the next row has an unseen value is about the share of values seen once (Good-Turing).
    """
    counts = values.value_counts()
    unseen = float((counts == 1).sum()) / len(values)
    if len(counts) > _MOST_CATEGORIES or unseen > _UNSEEN:
        return []
    mostly = round(_MOSTLY - 2 * unseen, 4)
    return [("values_to_be_in_set", {"value_set": sorted(counts.index), "mostly": mostly})]


def _of_variety(values: pd.Series[Any]) -> list[Demand]:
    """At least two values where the reference varies: a stuck column holds only known values."""
    return [("unique_value_count_to_be_between", {"min_value": 2})] if _is_varied(values) else []


def _is_varied(values: pd.Series[Any]) -> bool:
    return bool(values.value_counts(normalize=True).iloc[0] <= _VARIED)


def _expect(what: str, **kwargs: Any) -> Expectation:
    return {"type": f"expect_{what}", "kwargs": kwargs}
