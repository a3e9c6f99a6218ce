"""Columns as Arrow arrays, handled a piece at a time: Arrow's own ``take`` makes one array of all pieces first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

_AT_ONCE = 1_000_000


def as_arrow(column: pd.Series[Any]) -> pa.ChunkedArray:
    """A column of text or true/false; categories as what they stand for."""
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
