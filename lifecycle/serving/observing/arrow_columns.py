"""numpy to Arrow by buffers: ``pyarrow.array`` would import pandas first, which takes 45 MiB."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_TEXT = "OUS"


def arrow_of(values: NDArray[Any], dtype: np.dtype[Any]) -> pa.Array:
    """One numpy column as Arrow. Missing values (None, NaN, NaT) become null.

    Args:
        values: One-dimensional.
        dtype: The wanted numpy type; objects become text.

    Raises:
        TypeError, ValueError: a value is not of that kind.
    """
    kind, missing = kind_of(dtype), _missing(values)
    if kind == pa.string():
        return _texts(values, missing)
    if missing is not None:
        values = np.where(missing, np.zeros((), int if values.dtype.kind == "O" else values.dtype), values)
    values = np.ascontiguousarray(values, dtype)
    data = np.packbits(values, bitorder="little") if kind == pa.bool_() else values
    return pa.Array.from_buffers(kind, len(values), [_present(missing), pa.py_buffer(data)])


def kind_of(dtype: np.dtype[Any]) -> pa.DataType:
    """Arrow's type for a numpy type."""
    return pa.string() if dtype.kind in _TEXT else pa.from_numpy_dtype(dtype)


def _missing(values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Mask of missing values; None when there is none."""
    if values.dtype.kind == "O":
        # NaN alone differs from itself
        missing = np.fromiter((v is None or v != v for v in values), bool, len(values))  # noqa: PLR0124
    elif values.dtype.kind == "f":
        missing = np.isnan(values)
    elif values.dtype.kind == "M":
        missing = np.isnat(values)
    else:
        return None
    return missing if missing.any() else None


def _present(missing: NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Arrow's validity bits of a mask."""
    return None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))


def _texts(values: NDArray[Any], missing: NDArray[np.bool_] | None) -> pa.Array:
    gone = np.zeros(len(values), bool) if missing is None else missing
    encoded = [b"" if empty else str(text).encode() for text, empty in zip(values, gone, strict=True)]
    ends = np.fromiter(accumulate(map(len, encoded), initial=0), np.int32, len(encoded) + 1)
    buffers = [_present(missing), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)
