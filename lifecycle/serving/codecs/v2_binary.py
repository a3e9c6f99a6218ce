"""Binary tensors behind the JSON: the protocol's binary tensor data extension.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codecs.v2_tensors import DATATYPES, Array, as_text, check_shape, to_json, wrong_size

_LENGTH = struct.Struct("<I")


def from_bytes(name: str, datatype: str, shape: list[int], body: bytes, span: tuple[int, int]) -> Array:
    """A tensor from a part of the body.

    Args:
        span: Begin and end in the body.

    Raises:
        InvalidInput: the number of bytes does not fit shape and datatype.
    """
    begin, end = span
    size = check_shape(shape, name)
    if datatype == "BYTES":
        return _texts(name, shape, size, body[begin:end])
    dtype = DATATYPES[datatype]
    if (end - begin) != size * dtype.itemsize:
        raise InvalidInput(
            f"input {name!r} has {end - begin} bytes; {datatype} of shape {shape} is another number"
        )
    flat: Array = np.frombuffer(body, np.uint8 if datatype == "BOOL" else dtype, size, begin)
    if datatype == "BOOL":
        return _truths(name, flat).reshape(shape)
    # a copy is aligned, while bytes behind a JSON header seldom are
    return flat.copy().reshape(shape)


def to_bytes(values: Array) -> bytes:
    """Elements of a tensor as bytes, little-endian and row-major."""
    if values.dtype.kind in "biuf":
        return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    elements = values.ravel().tolist() if values.dtype.kind == "O" else to_json(values)
    return b"".join(map(_element, elements))


def _element(value: Any) -> bytes:
    encoded = value if isinstance(value, bytes) else (as_text(value) or "").encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(encoded)) + encoded


def _truths(name: str, flat: Array) -> Array:
    if flat.size and int(flat.max()) > 1:
        raise InvalidInput(f"input {name!r} holds a byte that is neither 0 nor 1")
    return flat.astype(np.bool_)


def _texts(name: str, shape: list[int], size: int, data: bytes) -> Array:
    found: list[str] = []
    offset, end = 0, len(data)
    while offset < end and len(found) < size:
        stop = offset + 4 + (_LENGTH.unpack_from(data, offset)[0] if offset + 4 <= end else end)
        if stop > end:
            raise InvalidInput(f"the bytes of input {name!r} end in the middle of an element")
        try:
            found.append(data[offset + 4 : stop].decode())
        except UnicodeDecodeError:
            raise InvalidInput(f"input {name!r} holds a text that is not UTF-8") from None
        offset = stop
    if len(found) != size or offset != end:
        raise wrong_size(name, shape, len(found) + (offset != end))
    texts: Array = np.empty(size, dtype=object)
    texts[:] = found
    return texts.reshape(shape)
