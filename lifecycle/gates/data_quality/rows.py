"""Rows in the types that Great Expectations is given them in."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lifecycle.gates.kinds import Kind, kind_of, plain

_EARLIEST, _LATEST = pd.Timestamp("1678-01-01"), pd.Timestamp("2262-01-01")


def as_judged(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows in numpy's own types, datetimes in nanoseconds whatever their file has them in.

    Moments that nanoseconds cannot express (before 1678, from 2262) become the first or last that they can.
    """
    frame = plain(frame)
    return pd.DataFrame({name: _in_nanoseconds(frame[name]) for name in frame.columns}, index=frame.index)


def column_as_judged(column: pd.Series[Any]) -> pd.Series[Any]:
    """One column of :func:`as_judged`."""
    return as_judged(column.to_frame("column"))["column"].rename(column.name)


def _in_nanoseconds(column: pd.Series[Any]) -> pd.Series[Any]:
    if kind_of(column) is not Kind.DATETIME or column.dtype == "datetime64[ns]":
        return column
    try:
        moments = pd.to_datetime(column)
        if moments.min() < _EARLIEST or moments.max() > _LATEST:
            moments = moments.clip(_EARLIEST, _LATEST)
        return moments.astype("datetime64[ns]")
    except (ValueError, TypeError):  # objects with time zones, or several of them
        return column
