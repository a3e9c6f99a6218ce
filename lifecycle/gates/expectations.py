"""A Great Expectations suite from reference rows, written as plain JSON: importing the library takes 7 s.

The bounds are made to accept clean data of later months and to catch broken data: nulls that leak in,
another unit, swapped columns, new garbage categories. They say nothing of gradual change, which is the
drift gate's part.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from lifecycle.gates.kinds import Kind, kind_of, plain

Expectation = dict[str, Any]

_TYPES = {
    # Whole numbers turn into floats as soon as one is missing, and pandas has a dozen spellings of either.
    Kind.NUMBER: ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"],
    Kind.TEXT: ["str"],
    Kind.BOOLEAN: ["bool"],
}
_SLACK = 0.5  # a later month may go beyond the reference by half of its range
_MOSTLY = 0.99  # and one row in a hundred may do so further
_MOST_CATEGORIES = 1000
_UNSEEN = 0.02


def derive_suite(rows: pd.DataFrame, name: str = "reference") -> dict[str, Any]:
    """The suite that ``rows`` themselves meet with room to spare.

    Args:
        rows: Inputs only, at least one row. A column without a single value is only demanded to exist.
        name: Name of the suite.

    Returns:
        What ``ExpectationSuite(**suite)`` of Great Expectations 1.x takes.
    """
    rows = plain(rows)
    expectations = [_expect("table_row_count_to_be_between", min_value=1)]
    for column in rows.columns:
        expectations += _of_column(column, rows[column])
    return {"name": name, "meta": {"derived_from_rows": len(rows)}, "expectations": expectations}


def _of_column(name: str, values: pd.Series[Any]) -> list[Expectation]:
    kind = kind_of(values)
    exists = [_expect("column_to_exist", column=name)]
    if kind is Kind.EMPTY:
        return exists
    types = (
        [_expect("column_values_to_be_in_type_list", column=name, type_list=_TYPES[kind])]
        if kind in _TYPES
        else []
    )
    by_kind = {Kind.NUMBER: _of_numbers, Kind.TEXT: _of_text}
    of_values = by_kind[kind](name, values.dropna()) if kind in by_kind else []
    return [*exists, *types, *_of_nulls(name, values), *of_values]


def _of_nulls(name: str, values: pd.Series[Any]) -> list[Expectation]:
    """Half as many nulls again as there were, and two in a hundred: cancelled flights come in waves."""
    mostly = round(1 - (1.5 * float(values.isna().mean()) + 0.02), 4)
    return [_expect("column_values_to_not_be_null", column=name, mostly=mostly)] if mostly > 0 else []


def _of_numbers(name: str, values: pd.Series[Any]) -> list[Expectation]:
    """The range catches what is absurd; middle and spread catch another unit or column within the range."""
    values = values[values.abs() != float("inf")].astype(float)
    if values.empty:
        return []
    lowest, low, high, highest = (float(v) for v in values.quantile([0.0, 0.3, 0.7, 1.0]))
    slack = _SLACK * (highest - lowest)
    return [
        _expect(
            "column_values_to_be_between",
            column=name,
            min_value=lowest - slack,
            max_value=highest + slack,
            mostly=_MOSTLY,
        ),
        _expect("column_median_to_be_between", column=name, min_value=low, max_value=high),
        *_of_spread(name, float(values.std())),
    ]


def _of_spread(name: str, deviation: float) -> list[Expectation]:
    """Units differ by more than a factor of three more often than not; months don't."""
    if not deviation > 0:  # a single value, or the same in every row
        return []
    return [_expect("column_stdev_to_be_between", column=name, min_value=deviation / 3, max_value=deviation * 3)]


def _of_text(name: str, values: pd.Series[Any]) -> list[Expectation]:
    """The categories, if these are all there are: no tail numbers, names or free text.

    How likely the next row brings an unseen value is about the share of values seen once (Good-Turing).
    """
    counts = values.value_counts()
    unseen = float((counts == 1).sum()) / len(values)
    if len(counts) > _MOST_CATEGORIES or unseen > _UNSEEN:
        return []
    mostly = round(_MOSTLY - 2 * unseen, 4)
    return [_expect("column_values_to_be_in_set", column=name, value_set=sorted(counts.index), mostly=mostly)]


def _expect(what: str, **kwargs: Any) -> Expectation:
    return {"type": f"expect_{what}", "kwargs": kwargs}
