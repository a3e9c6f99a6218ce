"""Predictions to response bodies, as MLflow shapes them."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.scoring.contract import Fields, Predictions

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode(predictions: Predictions) -> bytes:
    """``{"predictions": …}``; NaN and infinity become null, so the body is always valid JSON."""
    return orjson.dumps({"predictions": _jsonable(predictions)}, _other, _OPTIONS)


def encode_unwrapped(predictions: Predictions) -> bytes:
    """The same without ``predictions`` around it."""
    return orjson.dumps(_jsonable(predictions), _other, _OPTIONS)


def _jsonable(predictions: Predictions) -> Any:
    if isinstance(predictions, np.ndarray):
        return _array(predictions)
    if isinstance(predictions, Fields):
        return {name: _array(values) for name, values in predictions.items()}
    names = list(predictions)
    columns = [_cells(predictions[name]) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _array(array: NDArray[Any]) -> Any:
    if array.dtype == np.float32:
        # As a double, as MLflow writes it: orjson would write the shortest text that means the same float32.
        return array.astype(np.float64)
    native = array.dtype.kind in "fiub" and array.dtype != np.float16
    return np.ascontiguousarray(array) if native else _cells(array)


def _cells(array: NDArray[Any]) -> list[Any]:
    """Python's own values. numpy gives times of a nanosecond as whole numbers, and MLflow as pandas' ISO 8601."""
    if array.dtype.kind != "M":
        cells: list[Any] = array.tolist()
        return cells
    times = array.astype("datetime64[us]")
    return [None if time is None else time.isoformat() for time in times.tolist()]


def _other(value: Any) -> Any:
    """What orjson does not know; MLflow's own encoder has the same forms."""
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, set | frozenset):
        raise TypeError
    return str(value)
