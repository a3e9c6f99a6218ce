"""Types of columns, independent of pandas, CSV and Parquet."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pandas as pd


class ColumnType(StrEnum):
    """Types of column values that the gates distinguish, in words for people."""

    NUMBER = "numbers"
    TEXT = "text"
    BOOLEAN = "true/false"
    DATETIME = "datetimes"
    ZONED_DATETIME = "datetimes with a time zone"
    EMPTY = "nulls only"
    OTHER = "mixed or nested values"


_INFERRED = {
    "string": ColumnType.TEXT,
    "boolean": ColumnType.BOOLEAN,
    "integer": ColumnType.NUMBER,
    "floating": ColumnType.NUMBER,
    "mixed-integer-float": ColumnType.NUMBER,
    "decimal": ColumnType.NUMBER,
    "datetime": ColumnType.DATETIME,
    "datetime64": ColumnType.DATETIME,
    "date": ColumnType.DATETIME,
}


def column_type(column: pd.Series[Any]) -> ColumnType:
    """The type of a column's values. Integers, floats and nullable numbers are all NUMBER."""
    if column.isna().all():
        return ColumnType.EMPTY
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
        column = column.cat.categories.to_series()
    if pd.api.types.is_bool_dtype(dtype):
        return ColumnType.BOOLEAN
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return ColumnType.NUMBER
    if isinstance(dtype, pd.DatetimeTZDtype):
        return ColumnType.ZONED_DATETIME
    if pd.api.types.is_datetime64_dtype(dtype):
        return ColumnType.DATETIME
    return _INFERRED.get(pd.api.types.infer_dtype(column, skipna=True), ColumnType.OTHER)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """In numpy's types: float64 for numbers with missing values, objects with None for text.

    Great Expectations supports those best; pandas has many more. The column given is not changed.
    """
    kind = column_type(column)
    if kind is ColumnType.NUMBER:
        whole = column.dtype.kind in "iu" and not column.hasnans
        return column.astype("int64" if whole and column.dtype.kind == "i" else "float64")
    if kind is ColumnType.BOOLEAN and not column.hasnans:
        return column.astype(bool)
    if kind in (ColumnType.TEXT, ColumnType.BOOLEAN):
        return column.astype(object).where(column.notna(), None)
    return column


_EARLIEST, _LATEST = pd.Timestamp("1678-01-01"), pd.Timestamp("2262-01-01")


def as_judged(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows in numpy's own types, datetimes in nanoseconds.

    Times beyond nanoseconds (before 1678, from 2262) become the first or last possible one.
    """
    return pd.DataFrame({name: column_as_judged(frame[name]) for name in frame.columns}, index=frame.index)


def column_as_judged(column: pd.Series[Any]) -> pd.Series[Any]:
    """One column of :func:`as_judged`."""
    column = _plain(column)
    if column_type(column) is not ColumnType.DATETIME or column.dtype == "datetime64[ns]":
        return column
    try:
        moments = pd.to_datetime(column)
        if moments.min() < _EARLIEST or moments.max() > _LATEST:
            moments = moments.clip(_EARLIEST, _LATEST)
        return moments.astype("datetime64[ns]")
    except (ValueError, TypeError):  # objects with time zones, or several of them
        return column
