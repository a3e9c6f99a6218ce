"""Reads the types that a skops file names from its schema, without skops.

skops trusts some types by default and others because a list says so; MLflow takes that list from the model's own
MLmodel file. Here only the operator's list counts, for every node alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.gates.safety.rules import AllowList

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
