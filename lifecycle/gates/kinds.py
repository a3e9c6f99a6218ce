"""What kind of values a column holds, whatever pandas, a CSV file or Parquet call its type."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pandas as pd


class Kind(StrEnum):
    """The kinds that the gates tell apart, in words for people."""

    NUMBER = "numbers"
    TEXT = "text"
    BOOLEAN = "true/false"
    DATETIME = "datetimes"
    ZONED_DATETIME = "datetimes with a time zone"
    EMPTY = "nulls only"
    OTHER = "mixed or nested values"


_INFERRED = {
    "string": Kind.TEXT,
    "boolean": Kind.BOOLEAN,
    "integer": Kind.NUMBER,
    "floating": Kind.NUMBER,
    "mixed-integer-float": Kind.NUMBER,
    "decimal": Kind.NUMBER,
    "datetime": Kind.DATETIME,
    "datetime64": Kind.DATETIME,
    "date": Kind.DATETIME,
}


def kind_of(column: pd.Series[Any]) -> Kind:
    """The kind of a column's values. Integer or float, nullable or not, is all the same here."""
    if column.isna().all():
        return Kind.EMPTY
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
        column = column.cat.categories.to_series()
    if pd.api.types.is_bool_dtype(dtype):
        return Kind.BOOLEAN
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return Kind.NUMBER
    if isinstance(dtype, pd.DatetimeTZDtype):
        return Kind.ZONED_DATETIME
    if pd.api.types.is_datetime64_dtype(dtype):
        return Kind.DATETIME
    return _INFERRED.get(pd.api.types.infer_dtype(column, skipna=True), Kind.OTHER)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows in numpy's own types: float64 for numbers with gaps, objects with None for text.

    Great Expectations and Evidently know those best; pandas has many more. The frame given is not changed.
    """
    return pd.DataFrame({name: _plain(frame[name]) for name in frame.columns}, index=frame.index)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    kind = kind_of(column)
    if kind is Kind.NUMBER:
        whole = column.dtype.kind in "iu" and not column.hasnans
        return column.astype("int64" if whole and column.dtype.kind == "i" else "float64")
    if kind is Kind.BOOLEAN and not column.hasnans:
        return column.astype(bool)
    if kind in (Kind.TEXT, Kind.BOOLEAN):
        return column.astype(object).where(column.notna(), None)
    return column
