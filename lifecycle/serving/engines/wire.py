"""Batches and predictions between server and model process: a JSON header, then the columns' bytes.

Nothing is unpickled: the child runs the model's code, and the server must not execute what it sends.

A frame is: header length (4 bytes), body length (8 bytes), both big-endian; the header; the body. The header
names each column's type, shape and length; in the body each begins at a multiple of 16 bytes, as numpy would
have it. Text and other objects travel as JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from lifecycle.scoring.contract import Fields, Predictions

LENGTHS = struct.Struct(">IQ")
"""Lengths of header and body, with which a frame begins."""

_OBJECTS = "O"
_ALIGNED = 16
_ARRAY, _TABLE, _FIELDS = "array", "table", "fields"

Columns = Mapping[str, NDArray[Any]]


def pack(header: Mapping[str, Any], columns: Columns) -> list[bytes | memoryview]:
    """A frame in parts, to be written one after the other.

    Raises:
        TypeError: a value that JSON cannot represent.
    """
    described: list[Any] = []
    body: list[bytes | memoryview] = []
    for name, values in columns.items():
        kind, data = _packed(values)
        described.append([name, kind, values.shape, len(data)])
        body += (data, bytes(-len(data) % _ALIGNED))
    head = orjson.dumps({**header, "columns": described}, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    return [LENGTHS.pack(len(head), sum(map(len, body))), head, *body]


def unpack(head: bytes | bytearray, body: bytes | bytearray) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and columns of a frame. The arrays are views of ``body``.

    Raises:
        ValueError: the bytes are not a valid frame.
    """
    header = orjson.loads(head)
    columns: dict[str, NDArray[Any]] = {}
    start = 0
    for name, kind, shape, length in header.pop("columns"):
        columns[name] = _unpacked(kind, shape, memoryview(body)[start : start + length])
        start += length + -length % _ALIGNED
    return header, columns


def kind_of(predictions: Predictions) -> str:
    """Form of the predictions, which :func:`predictions_from` needs to rebuild them."""
    if not isinstance(predictions, Mapping):
        return _ARRAY
    return _FIELDS if isinstance(predictions, Fields) else _TABLE


def columns_of(predictions: Predictions) -> Columns:
    """Predictions as columns."""
    return predictions if isinstance(predictions, Mapping) else {"": predictions}


def predictions_from(kind: str, columns: Columns) -> Predictions:
    """Predictions from columns, the inverse of :func:`columns_of`."""
    if kind == _ARRAY:
        return columns[""]
    return Fields(columns) if kind == _FIELDS else columns


def _packed(values: NDArray[Any]) -> tuple[str, bytes | memoryview]:
    if values.dtype.kind == "O":
        return _OBJECTS, orjson.dumps(values.tolist(), default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    flat = np.ascontiguousarray(values).reshape(-1)
    return values.dtype.str, flat.view(np.uint8).data if flat.size else b""


def _unpacked(kind: str, shape: Sequence[int], data: memoryview) -> NDArray[Any]:
    if kind != _OBJECTS:
        return np.frombuffer(data, kind).reshape(shape) if len(data) else np.empty(shape, kind)
    items = orjson.loads(data)
    values = np.empty(shape, object)
    if len(shape) == 1:  # assigned as a whole, as lists among the items would become another axis
        for index, item in enumerate(items):
            values[index] = item
    elif shape:
        values[...] = items
    else:
        values[()] = items
    return values


def _plain(value: Any) -> Any:
    """Values that JSON lacks, written as MLflow's scoring server writes them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
