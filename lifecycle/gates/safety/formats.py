"""Reads what files of skops, numpy and ONNX hold and name, without these libraries' own loaders.

skops trusts some types by default and others because a list says so; MLflow takes that list from the model's own
MLmodel file. Here only the operator's list counts, for every node alike. The header of a numpy file says whether
pickled objects follow, and the outline of an ONNX file which other files it reads.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.gates.safety.archives import Content
from lifecycle.gates.safety.rules import AllowList

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


SCHEMA = "schema.json"
_PROTOCOLS = (1, 2)  # skops 0.7 and later; in protocol 0 a function's name is in another place
_NODES_THAT_CREATE = frozenset(
    f"{kind}Node"
    for kind in (
        "Bytearray",
        "Bytes",
        "Cached",
        "ConstructorFromReduce",
        "DType",
        "DefaultDict",
        "Dict",
        "Json",
        "List",
        "Loss",
        "MaskedArray",
        "Method",
        "NdArray",
        "Object",
        "OperatorFunc",
        "Partial",
        "RandomGenerator",
        "RandomState",
        "Set",
        "Slice",
        "SparseMatrix",
        "Tree",
        "Tuple",
    )
)
_NODES_THAT_NAME = frozenset({"FunctionNode", "TypeNode"})
_RAW_NODES = frozenset({"BytesNode", "BytearrayNode"})


class BrokenSchema(Exception):
    """The schema is malformed; the message says why."""


@dataclass(slots=True)
class Schema:
    """Names in a skops file.

    Attributes:
        names: Types and functions.
        strange: Types and functions that are not on the list.
        oddities: Phrases for constructs that no list can allow.
        raw: Entries of the zip file that are plain bytes.
    """

    names: set[str] = field(default_factory=set)
    strange: set[str] = field(default_factory=set)
    oddities: set[str] = field(default_factory=set)
    raw: set[str] = field(default_factory=set)


def read_schema(text: bytes, allowed: AllowList) -> Schema | None:
    """The names in ``schema.json``; None if it is not a skops schema.

    Raises:
        BrokenSchema: it cannot be read, or a node in it lacks what every node has.
    """
    try:
        root = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BrokenSchema("holds a schema.json that is no JSON") from exc
    if not isinstance(root, dict) or "__loader__" not in root:
        return None
    schema = Schema()
    protocol = root.get("protocol")
    if type(protocol) is not int or protocol not in _PROTOCOLS:
        schema.oddities.add("was written in a protocol of skops that is not known here")
    for node in _nodes(root):
        _look_at(node, allowed, schema)
    return schema


def _nodes(root: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All nested dicts that could be nodes."""
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("__loader__"), str):
                yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _look_at(node: Mapping[str, Any], allowed: AllowList, schema: Schema) -> None:
    kind, module, name = node["__loader__"], node.get("__module__"), node.get("__class__")
    if not isinstance(module, str) or not isinstance(name, str):
        if kind == "CachedNode":  # only refers to another node
            return
        raise BrokenSchema("holds a node of skops without a type")
    full = f"{module}.{name}"
    schema.names.add(full)
    if kind not in _NODES_THAT_CREATE | _NODES_THAT_NAME:
        schema.oddities.add(f"holds a {kind}, which is not known here")
    elif not (allowed.may_name(full) if kind in _NODES_THAT_NAME else allowed.may_call(full)):
        schema.strange.add(full)
    for hidden in _hidden_names(kind, full, node):
        schema.names.add(hidden)
        if not allowed.may_call(hidden):
            schema.strange.add(hidden)
    if kind in _RAW_NODES:
        schema.raw.add(str(node.get("file")))


def _hidden_names(kind: str, full: str, node: Mapping[str, Any]) -> Iterator[str]:
    """Names outside of ``__module__`` and ``__class__``."""
    content = node.get("content")
    if kind == "MethodNode":
        yield f"{full}.{content.get('func') if isinstance(content, dict) else ''}"
    elif kind == "RandomGeneratorNode":
        try:
            state = node["content"]["bit_generator"]["content"]
            yield f"numpy.random.{json.loads(state['bit_generator']['content'])}"
        except (LookupError, TypeError, ValueError):
            yield "numpy.random."
    elif kind == "TreeNode":
        yield "sklearn.tree._tree.Tree"
