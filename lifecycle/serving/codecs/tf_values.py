"""TensorFlow Serving's rows and columns as a batch.

As MLflow's, and also as TensorFlow's clients send them: one value in its own list (``[n, 1]``, as Keras
has it), rows as plain lists, and ``{"b64": …}`` for text.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.scoring.values import assemble, from_cells, tensor
from lifecycle.serving.codecs.v2_tensors import Array


def batch_from_instances(content: Any, signature: Signature) -> tuple[Batch, int]:
    """Row format: a list with one element per row.

    Raises:
        InvalidInput: the rows are malformed or do not fit the signature.
    """
    if type(content) is not list:
        raise InvalidInput("'instances' must be a list with one element a row")
    if signature.is_tensor:
        if not _has_names(content):
            return _tensors(content, signature)
        one = len(signature.inputs) == 1 and len(content[0]) == 1  # under any name
        return _tensors(_transposed(content, tuple(content[0]) if one else signature.names), signature)
    if _has_names(content):
        return _columns(_transposed(content, signature.names), signature)
    return _columns(_split(content, signature), signature)


def batch_from_inputs(content: Any, signature: Signature) -> tuple[Batch, int]:
    """Column format: an object of columns, or the bare values of a model with one input.

    Raises:
        InvalidInput: the columns are malformed or do not fit the signature.
    """
    if signature.is_tensor:
        return _tensors(content, signature)
    return _columns(content if type(content) is dict else _split(content, signature), signature)


def _has_names(rows: list[Any]) -> bool:
    return bool(rows) and type(rows[0]) is dict and "b64" not in rows[0]


def _transposed(rows: list[Any], names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Columns by name; the names of all rows together."""
    if any(type(row) is not dict for row in rows):
        raise InvalidInput("either all of 'instances' are objects or none is")
    given = {name for row in rows for name in row}
    return {name: [row.get(name) for row in rows] for name in names if name in given}


def _split(content: Any, signature: Signature) -> dict[str, Any]:
    """Columns of rows without names: one value each, or one for every column."""
    names = signature.names
    if type(content) is not list:
        raise InvalidInput(f"the model takes the columns {', '.join(map(repr, names[:20]))}")
    if len(names) == 1:
        return {names[0]: content}
    if any(type(row) is not list or len(row) != len(names) for row in content):
        raise InvalidInput(f"every row must be an object, or a list of the model's {len(names)} columns in order")
    return dict(zip(names, zip(*content, strict=True), strict=True)) if content else dict.fromkeys(names, ())


def _columns(columns: dict[str, Any], signature: Signature) -> tuple[Batch, int]:
    known = {c.name: _column(c, columns[c.name]) for c in signature.inputs if c.name in columns}
    lengths = {len(values) for values in known.values()}
    if len(lengths) > 1:
        raise InvalidInput("the columns have different lengths")
    rows = lengths.pop() if lengths else 0
    if not rows:
        raise InvalidInput(f"there are no rows of the columns {', '.join(map(repr, signature.names[:20]))}")
    return assemble(signature, known, known.__getitem__, rows), rows


def _column(column: Column, values: Any) -> Array:
    if type(values) not in (list, tuple):
        raise InvalidInput(f"column {column.name!r} must be a list")
    if values and type(values[0]) is list:
        if any(type(value) is not list or len(value) != 1 for value in values):
            raise InvalidInput(f"column {column.name!r} takes one value a row")
        values = [value[0] for value in values]
    if column.dtype.kind in "OM":
        values = [_text(column, value) for value in values]
    return from_cells(column, values)


def _text(column: Column, value: Any) -> Any:
    if type(value) is not dict:
        return value
    try:
        return base64.b64decode(value["b64"], validate=True).decode()
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise InvalidInput(f"column {column.name!r} holds an object that is not UTF-8 text in base64") from None


def _tensors(content: Any, signature: Signature) -> tuple[Batch, int]:
    if type(content) is not dict:
        if len(signature.inputs) != 1:
            raise InvalidInput(f"the model takes the inputs {', '.join(map(repr, signature.names))} by name")
        content = {signature.names[0]: content}
    elif len(signature.inputs) == 1 and len(content) == 1:
        content = {signature.names[0]: next(iter(content.values()))}  # the only one, under any name
    lacking = [repr(name) for name in signature.names if name not in content]
    if lacking:
        raise InvalidInput(f"the request lacks input(s) {', '.join(lacking)}")
    batch = {column.name: tensor(column, content[column.name]) for column in signature.inputs}
    lengths = {len(values) for values in batch.values()}
    if len(lengths) > 1:
        raise InvalidInput("the inputs have different numbers of rows")
    return batch, lengths.pop()
