"""Shortcuts for the most common requests: all columns of one numeric type, as one tensor or one each.

They accept only requests that are certainly valid and return None otherwise; then the request is read tensor by
tensor, which finds what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

import numpy as np

from lifecycle.scoring.contract import Matrix
from lifecycle.scoring.signature import Signature
from lifecycle.serving.codecs.v2_tensors import DATATYPES, Array, datatype_of, doubles


class Head:
    """The JSON in front of binary tensors, cached: a client that sends rows of one shape repeats it.

    Attributes:
        tensors: Name, datatype, shape, and where the bytes begin and end, counted from the end of the JSON.
        length: Bytes of all tensors.
        parameters, reply: The rest, as the codec has read it.
    """

    __slots__ = ("_dtype", "_names", "_rows", "length", "parameters", "reply", "tensors")

    def __init__(self, inputs: list[dict[str, Any]], parameters: Mapping[str, Any], reply: Any) -> None:
        self.tensors: list[tuple[str, str, list[int], int, int]] = []
        self.length = 0
        for spec in inputs:
            end = self.length + spec["parameters"]["binary_data_size"]
            self.tensors.append((spec["name"], spec["datatype"], spec["shape"], self.length, end))
            self.length = end
        self.parameters, self.reply = parameters, reply
        self._names = tuple(tensor[0] for tensor in self.tensors)
        self._dtype, self._rows = _uniform(inputs)

    def matrix(self, body: bytes, offset: int, signature: Signature) -> Matrix | None:
        """All columns as a matrix, if each is a tensor and they come in the model's order; else None."""
        if self._dtype is None or self._dtype != signature.one_type or self._names != signature.names:
            return None
        width = len(self._names)
        flat = np.frombuffer(body, self._dtype, width * self._rows, offset)
        return Matrix(self._names, flat.reshape(width, self._rows).T.copy())


def one_tensor(values: Array, signature: Signature) -> Matrix | None:
    """A tensor ``[rows, columns]`` of the model's own type; else None."""
    if values.dtype != signature.one_type or values.ndim != 2 or values.shape[1] != len(signature.names):
        return None
    return Matrix(signature.names, values)


def columns_in_json(inputs: Any, signature: Signature) -> Matrix | None:
    """One tensor ``[rows]`` or ``[rows, 1]`` per column, in the model's order, flat and without parameters."""
    dtype, names = signature.one_type, signature.names
    if dtype is None or type(inputs) is not list or not _are_columns(inputs, names, datatype_of(dtype)):
        return None
    rows, columns = inputs[0]["shape"][0], [spec["data"] for spec in inputs]
    if set(map(type, columns)) != {list} or set(map(len, columns)) != {rows}:
        return None
    flat = list(chain.from_iterable(columns))
    kinds = set(map(type, flat))
    if dtype == np.float64 and kinds <= {int, float}:
        with suppress(OverflowError):
            return Matrix(names, doubles(flat).reshape(len(names), rows).T.copy())
    if dtype == np.int64 and kinds == {int}:
        with suppress(OverflowError):
            return Matrix(names, np.array(flat, dtype).reshape(len(names), rows).T.copy())
    return None


def _are_columns(inputs: list[Any], names: tuple[str, ...], datatype: str) -> bool:
    """Whether they are the model's columns in its order, with one datatype and one length."""
    if len(inputs) != len(names) or type(inputs[0]) is not dict:
        return False
    shape = inputs[0].get("shape")
    return _is_column(shape) and all(
        type(spec) is dict
        and len(spec) == 4
        and spec.get("name") == name
        and spec.get("datatype") == datatype
        and spec.get("shape") == shape
        and "data" in spec
        for spec, name in zip(inputs, names, strict=True)
    )


def _uniform(inputs: list[dict[str, Any]]) -> tuple[np.dtype[Any] | None, int]:
    """Type and number of rows, if all tensors are columns of one type and one length; else None."""
    datatype, shape = inputs[0]["datatype"], inputs[0]["shape"]
    same = all(spec["datatype"] == datatype and spec["shape"] == shape for spec in inputs)
    if not same or datatype in ("BYTES", "BOOL") or not _is_column(shape):
        return None, 0
    return DATATYPES[datatype], shape[0]


def _is_column(shape: Any) -> bool:
    """Whether the shape is ``[rows]`` or ``[rows, 1]`` with at least a few rows."""
    if type(shape) is not list or len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        return False
    return type(shape[0]) is int and shape[0] > 0
