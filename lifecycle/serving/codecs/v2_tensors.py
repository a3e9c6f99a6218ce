"""Tensors of the Open Inference Protocol: datatypes, shapes, and data in JSON.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, "Tensor Data".
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.signature import Column, InvalidInput
from lifecycle.scoring.values import flattened

Array = NDArray[Any]

DATATYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BYTES": np.dtype(np.object_),
}
"""numpy types by datatype, little-endian as the binary extension demands. BYTES are ``str``, None for missing."""

_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_LONGEST = 2**40  # a tensor that fits into a body has no longer axis
_MOST_AXES = 16
_NONE = type(None)
_FITS: dict[str, set[type]] = {"b": {bool}, "i": {int, float}, "u": {int, float}, "f": {int, float, _NONE}}
"""JSON types that each kind of datatype takes."""


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's datatype of a numpy type; times and text are BYTES."""
    return _NAMES.get(dtype, "BYTES")


def column_datatype(column: Column) -> str:
    """The datatype of a column in the metadata."""
    return datatype_of(column.dtype)


def check_shape(shape: Any, name: str) -> int:
    """Number of elements of a tensor with that shape.

    Raises:
        InvalidInput: the shape is not a list of lengths.
    """
    if type(shape) is not list or not 0 < len(shape) <= _MOST_AXES:
        raise InvalidInput(f"input {name!r} needs a shape, such as [1, 4]")
    size = 1
    for length in shape:
        if type(length) is not int or not 0 <= length < _LONGEST:
            raise InvalidInput(f"the shape of input {name!r} must be a list of whole numbers from 0")
        size *= length
    return size


def wrong_size(name: str, shape: list[int], found: int) -> InvalidInput:
    """The error for data whose length does not fit its shape."""
    return InvalidInput(f"input {name!r} has {found} elements and its shape {shape} another number")


def from_json(name: str, datatype: str, shape: list[int], data: Any, content_type: Any) -> Array:
    """A tensor from JSON data, nested or flat.

    Args:
        content_type: The tensor's own parameter: ``base64`` for BYTES in base64.

    Raises:
        InvalidInput: the number of elements does not fit the shape, or a value has another type.
    """
    if type(data) is not list:
        raise InvalidInput(f"input {name!r} needs its data as a list")
    if datatype == "BYTES":
        return _texts(name, shape, data, encoded=content_type == "base64")
    if datatype == "FP16":
        raise InvalidInput(f"input {name!r}: FP16 has no JSON form; send it as binary data, or FP32")
    return _numbers(name, DATATYPES[datatype], shape, data)


def _numbers(name: str, dtype: np.dtype[Any], shape: list[int], data: list[Any]) -> Array:
    flat, kinds = flattened(data)
    if len(flat) != check_shape(shape, name):
        raise wrong_size(name, shape, len(flat))
    try:
        with np.errstate(over="raise"):
            if kinds <= _FITS[dtype.kind]:
                return _array(flat, kinds, dtype).reshape(shape)
    except (OverflowError, FloatingPointError):
        raise InvalidInput(f"input {name!r} holds a number beyond {datatype_of(dtype)}") from None
    except ValueError:  # of an integer that is not one
        pass
    raise InvalidInput(f"input {name!r} holds a value that is no {datatype_of(dtype)}")


def _array(flat: list[Any], kinds: set[type], dtype: np.dtype[Any]) -> Array:
    """The values as an array. Raises OverflowError, FloatingPointError or, for a fraction, ValueError."""
    if dtype.kind == "f":
        if _NONE in kinds:
            flat = [math.nan if value is None else value for value in flat]
        return doubles(flat).astype(dtype, copy=False)
    if float in kinds:
        flat = [_whole(value) for value in flat]
    return np.array(flat, dtype)


def doubles(flat: list[float]) -> NDArray[np.float64]:
    """Floats as an array, twice as fast as ``np.array``, which inspects each value before converting the first."""
    return np.frombuffer(bytearray(struct.pack(f"{len(flat)}d", *flat)))


def _whole(value: float) -> int:
    """A whole number, which may be written as 1.0; a float beyond 64 bits could have been another number."""
    if value != value // 1:
        raise ValueError
    if isinstance(value, float) and abs(value) >= 2.0**63:
        raise OverflowError
    return int(value)


def _texts(name: str, shape: list[int], data: list[Any], *, encoded: bool) -> Array:
    flat, kinds = flattened(data)
    if len(flat) != check_shape(shape, name):
        raise wrong_size(name, shape, len(flat))
    if not kinds <= {str, _NONE}:
        raise InvalidInput(f"input {name!r} holds a value that is no text")
    if encoded:
        flat = [None if value is None else _decoded(name, value) for value in flat]
    texts = np.empty(len(flat), dtype=object)
    texts[:] = flat
    return texts.reshape(shape)


def _decoded(name: str, value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidInput(f"input {name!r} holds a value that is not UTF-8 text in base64") from None


def to_json(values: Array) -> Any:
    """Elements of a tensor, flat and row-major, for orjson; NaN and infinities become null."""
    flat = values.ravel()
    if flat.dtype.kind in "biuf" and flat.dtype.itemsize != 2:
        return flat
    if flat.dtype.kind in "fiu":
        return flat.tolist()
    return [as_text(value) for value in flat.tolist()] if flat.dtype.kind == "O" else _spelled(flat)


def as_text(value: Any) -> str | None:
    """One element of BYTES as text."""
    if value is None or isinstance(value, str):
        return value
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _spelled(flat: Array) -> list[str | None]:
    """Times in ISO 8601, other values as numpy writes them."""
    if flat.dtype.kind in "mM":
        return [None if missing else str(text) for missing, text in zip(np.isnat(flat), flat, strict=True)]
    return [str(text) for text in flat]
