"""JSON bodies that contain only numbers, from the parser's buffer directly into one array.

For 100 rows of 30 columns, Python numbers and lists would take four times as long as parsing. This is only a
shortcut: for anything unexpected (another order of columns, a null, parameters, a BOM, invalid JSON)
it returns None, and :mod:`lifecycle.scoring.json_rows` reads the body.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Matrix
from lifecycle.scoring.signature import Signature

_LARGEST = 2**20
"""Most bytes of a body; the parser keeps about 15 times its largest document."""
_BUFFER: dict[np.dtype[Any], str] = {
    np.dtype(np.float64): "d",
    np.dtype(np.float32): "d",
    np.dtype(np.int64): "i",
}
_CELL: dict[str, np.dtype[Any]] = {"d": np.dtype(np.float64), "i": np.dtype(np.int64)}
_BOM = b"\xef\xbb\xbf"
_COLUMNS_BYTES = 4096
"""Least rows for reading ``inputs`` by column: each column costs a search."""
_START = 64
"""The key has to be within so many bytes, so that other bodies are not parsed in vain."""


class _Parsers(threading.local):
    """One reusable parser per thread; it must not be reused while its document is read."""

    def __init__(self) -> None:
        self.mine = simdjson.Parser()


_PARSERS = _Parsers()


def read_matrix(body: bytes, signature: Signature) -> Batch | None:
    """The rows, or None if the body needs the slower reader. Never raises for a body."""
    if len(body) > _LARGEST or body.startswith(_BOM):
        return None
    try:
        if signature.one_type is not None:
            return _table(body, signature, signature.one_type)
        if signature.is_tensor and len(signature.inputs) == 1:
            return _tensor(body, signature)
    except (ValueError, TypeError, AttributeError, LookupError, RuntimeError):
        pass  # simdjson's errors: invalid JSON, a value of another type, a missing key
    return None


def _table(body: bytes, signature: Signature, dtype: np.dtype[Any]) -> Batch | None:
    kind, start = _BUFFER.get(dtype), body[:_START]
    is_split = b'"dataframe_split"' in start
    if kind is None or not (is_split or (b'"inputs"' in start and len(body) >= _COLUMNS_BYTES)):
        return None
    document: Any = _PARSERS.mine.parse(body)
    if len(document) != 1:
        return None
    if is_split:
        array = _split(body, document["dataframe_split"], signature.names, kind)
    else:
        array = _columns(body, document["inputs"], signature.names, kind)
    return None if array is None else Matrix(signature.names, array.astype(dtype, copy=False))


def _split(body: bytes, split: Any, names: tuple[str, ...], kind: str) -> NDArray[Any] | None:
    """As many keys as expected, so none is repeated; as many brackets as rows, so no cell is a list."""
    keys = len(split)
    brackets = 2
    if keys == 3:
        brackets += isinstance(split["index"], simdjson.Array)
    elif keys != 2:
        return None
    if tuple(split["columns"].as_list()) != names:
        return None
    rows = split["data"]
    count = len(rows)
    if not count or body.count(b"[") != brackets + count or set(map(len, rows)) != {len(names)}:
        return None
    return np.frombuffer(rows.as_buffer(of_type=kind), _CELL[kind]).reshape(count, len(names))


def _columns(body: bytes, columns: Any, names: tuple[str, ...], kind: str) -> NDArray[Any] | None:
    if len(columns) != len(names) or body.count(b"[") != len(names):
        return None
    buffers = [np.frombuffer(columns[name].as_buffer(of_type=kind), _CELL[kind]) for name in names]
    # raises ValueError for columns of different lengths
    array = np.stack(buffers, axis=1)
    return array if len(array) else None


def _tensor(body: bytes, signature: Signature) -> Batch | None:
    column = signature.inputs[0]
    shape, kind = column.shape or (), _BUFFER.get(column.dtype)
    if kind is None or len(shape) != 2:
        return None
    document: Any = _PARSERS.mine.parse(body)
    if len(document) != 1:
        return None
    rows = document["inputs" if document.get("inputs") is not None else "instances"]
    if not len(rows):
        return None
    count, width = len(rows), len(rows[0])
    fits = shape[0] in (-1, count) and shape[1] in (-1, width)
    if not fits or body.count(b"[") != count + 1 or set(map(len, rows)) != {width}:
        return None
    array = np.frombuffer(rows.as_buffer(of_type=kind), _CELL[kind]).reshape(count, width)
    try:
        with np.errstate(over="raise"):
            return {column.name: array.astype(column.dtype, copy=False)}
    except FloatingPointError:  # beyond float32
        return None
