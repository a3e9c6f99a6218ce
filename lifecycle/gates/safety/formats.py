"""Reads headers of numpy files, which say whether pickled objects follow, and the outline of ONNX files."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lifecycle.gates.safety.archives import Content

NPY = b"\x93NUMPY"
_LONGEST_HEADER = 10_000  # bytes, as in numpy


class BrokenArray(Exception):
    """The file is not an array; the message says why."""


def pickle_start(content: Content) -> int | None:
    """Start of the pickled objects of an array; None if it holds only numbers.

    Raises:
        BrokenArray: its header cannot be read, or it is longer or shorter than the header says.
    """
    from numpy.lib import format as npy

    content.file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for a header written by Python 2
            read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
                npy.read_magic(content.file)
            ]
            shape, _, dtype = read(content.file, max_header_size=_LONGEST_HEADER)
    except (ValueError, LookupError, TypeError, SyntaxError, OverflowError, RecursionError, EOFError) as exc:
        raise BrokenArray("is a numpy array with a header that cannot be read") from exc
    start = content.file.tell()
    if dtype.hasobject:
        return start
    if min(shape, default=1) < 0 or start + math.prod(shape) * dtype.itemsize != content.size:
        raise BrokenArray("is a numpy array that is longer or shorter than it says")
    return None


FIRST_FIELD = b"\x08"  # ir_version, with which every writer starts
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft"})
_READ_FILES = frozenset({("com.microsoft", "EPContext")})  # operators that open files
_TENSOR_KEYS = frozenset({"location", "offset", "length", "checksum"})
"""onnx sets every key as an attribute of an object, with any name (CVE-2026-34445)."""


@dataclass(slots=True)
class OnnxModel:
    """External references of an ONNX model.

    Attributes:
        locations: Files with its tensors, as the model names them.
        odd_keys: Whether a tensor in another file has unknown keys.
        operators: ``domain.name`` of operators that are neither ONNX's nor defined in the model.
    """

    locations: set[str] = field(default_factory=set)
    odd_keys: bool = False
    operators: set[str] = field(default_factory=set)


def read_onnx(content: Content) -> OnnxModel | None:
    """Parse a model without tensors in other files; None if it is not an ONNX model.

    Takes about three times the file's size in memory.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import ModelProto

    content.file.seek(0)
    try:
        model = ModelProto.FromString(content.file.read())
    except DecodeError:
        return None
    if model.ir_version < 1 or not model.opset_import or not (model.graph.node or model.graph.output):
        return None
    found = OnnxModel()
    local = {(function.domain, function.name) for function in model.functions}
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            _look_at_tensor(message, found)
        elif kind == "NodeProto":
            operator = (message.domain, message.op_type)
            known = message.domain in _DOMAINS and operator not in _READ_FILES
            if not known and operator not in local:
                found.operators.add(".".join(operator))
    return found


def _look_at_tensor(tensor: Any, found: OnnxModel) -> None:
    if tensor.data_location != tensor.EXTERNAL and not tensor.external_data:
        return
    entries = {entry.key: entry.value for entry in tensor.external_data}
    found.locations.add(entries.get("location", ""))
    found.odd_keys |= len(entries) < len(tensor.external_data) or not entries.keys() <= _TENSOR_KEYS


def _messages(root: Any) -> Iterator[Any]:
    """All nested messages in any field: graphs in attributes, functions, training."""
    waiting = [root]
    while waiting:
        message = waiting.pop()
        yield message
        for descriptor, value in message.ListFields():
            if descriptor.message_type is not None:
                waiting.extend((value,) if hasattr(value, "ListFields") else value)
