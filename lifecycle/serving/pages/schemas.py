"""JSON Schemas of a model's requests and answers, in each protocol's form.

Dialect: https://json-schema.org/draft/2020-12, which OpenAPI 3.1 uses. What a schema cannot say (columns of equal
length, number of values by shape) the server checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.codecs.v2_signature import described
from lifecycle.serving.codecs.v2_tensors import DATATYPES

Schema = dict[str, Any]

_FLOAT_BOUND = 2.0**128 - 2.0**103  # beyond this float32 rounds to infinity
STRING: Schema = {"type": "string"}


def value(dtype: np.dtype[Any]) -> Schema:
    """One value of a column; null is allowed if a missing value has a representation."""
    match dtype.kind:
        case "b":
            return {"type": "boolean"}
        case "i" | "u":
            limits = np.iinfo(dtype)
            return {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
        case "f" if dtype.itemsize < 8:
            bounds = {"exclusiveMinimum": -_FLOAT_BOUND, "exclusiveMaximum": _FLOAT_BOUND}
            return {"type": ["number", "null"], **bounds}
        case "f":
            return {"type": ["number", "null"]}
        case "M":
            return {"type": ["string", "null"], "format": "date-time"}
    return {"type": ["string", "null"]}


def scoring_request(signature: Signature) -> Schema:
    """MLflow's request body: exactly one of its keys."""
    rows = _rows(signature)
    if signature.is_tensor:
        return _one_of({"inputs": _by_column(signature), "instances": rows})
    records = {"type": "array", "items": _record(signature), "minItems": 1}
    names = [column.name for column in signature.inputs]
    fields: dict[str, Schema] = {"columns": {"enum": [names, None]}, "index": {"type": ["array", "null"]}}
    split = _object(fields | {"data": rows | {"minItems": 0}}, ["data"]) | {"additionalProperties": False}
    return _one_of(
        {
            "dataframe_split": split,
            "dataframe_records": records,
            "instances": records,
            "inputs": {"anyOf": [_by_column(signature, bare=True), records]},
        }
    )


def scoring_answer(signature: Signature) -> Schema:
    """MLflow's answer."""
    return _object({"predictions": _predictions(signature.outputs)}, ["predictions"])


def tf_request(signature: Signature) -> Schema:
    """TensorFlow Serving's request body, in row or column format."""
    rows = _rows(signature)
    instances = rows if signature.is_tensor else {"type": "array", "items": _record(signature), "minItems": 1}
    return _one_of({"instances": instances, "inputs": _by_column(signature)})


def tf_answer(signature: Signature) -> Schema:
    """TensorFlow Serving's answer: ``predictions`` for rows, ``outputs`` for columns."""
    return _one_of({"predictions": _predictions(signature.outputs), "outputs": {}})


def v2_request(signature: Signature) -> Schema:
    """The Open Inference Protocol's request body with every tensor in JSON."""
    tensors = [
        _object(
            {
                "name": {"const": tensor["name"]},
                "datatype": {"const": tensor["datatype"]},
                "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
                "parameters": _PARAMETERS,
                "data": {"type": "array", "items": value(DATATYPES[tensor["datatype"]]), "minItems": 1},
            },
            ["name", "datatype", "shape", "data"],
        )
        for tensor in described(signature.inputs, "input")
    ]
    inputs = {"type": "array", "prefixItems": tensors, "items": False, "minItems": len(tensors)}
    names = [output["name"] for output in described(signature.outputs, "output")]
    name = {"enum": names} if names else STRING
    outputs = {"type": "array", "items": _object({"name": name, "parameters": _PARAMETERS}, ["name"])}
    return _object({"id": STRING, "parameters": _PARAMETERS, "inputs": inputs, "outputs": outputs}, ["inputs"])


def v2_answer() -> Schema:
    """The Open Inference Protocol's answer."""
    tensor = _object(
        {
            "name": STRING,
            "datatype": {"enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "parameters": _PARAMETERS,
            "data": {"type": "array"},
        },
        ["name", "datatype", "shape"],
    )
    outputs = {"type": "array", "items": tensor}
    fields = {"model_name": STRING, "model_version": STRING, "id": STRING, "outputs": outputs}
    return _object(fields, ["model_name", "outputs"])


_PARAMETERS: Schema = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}


def _object(fields: dict[str, Schema], required: Sequence[str]) -> Schema:
    return {"type": "object", "properties": fields, "required": list(required)}


def _one_of(fields: dict[str, Schema]) -> Schema:
    """An object with exactly one of the fields."""
    shapes = []
    for name, schema in fields.items():
        others: dict[str, Any] = {other: False for other in fields if other != name}
        shapes.append(_object({name: schema, **others}, [name]) | {"title": name})
    return {"oneOf": shapes}


def _record(signature: Signature) -> Schema:
    required = [column.name for column in signature.inputs if column.required]
    return _object({column.name: value(column.dtype) for column in signature.inputs}, required)


def _rows(signature: Signature) -> Schema:
    """Rows without names."""
    if signature.is_tensor:
        return _tensor(signature.inputs[0])
    cells = [value(column.dtype) for column in signature.inputs]
    row = {"type": "array", "prefixItems": cells, "items": False, "minItems": len(cells)}
    return {"type": "array", "items": row, "minItems": 1}


def _by_column(signature: Signature, *, bare: bool = False) -> Schema:
    """An object of columns.

    Args:
        bare: Whether a column of one row may be its value.
    """
    columns = signature.inputs
    if len(columns) == 1 and signature.is_tensor:
        return _tensor(columns[0])
    required = [column.name for column in columns if column.required]
    fields = {column.name: _tensor(column) for column in columns}
    if bare and not signature.is_tensor:
        fields = {c.name: {"anyOf": [fields[c.name], value(c.dtype)]} for c in columns}
    return _object(fields, required)


def _tensor(column: Column) -> Schema:
    """Nested lists of the column's shape; a column of values has one axis."""
    cell = value(column.dtype)
    if column.shape is not None and column.dtype.kind == "f":
        cell |= {"type": "number"}  # a tensor has no missing values
    return _nested(column, cell)


def _nested(column: Column, cell: Schema) -> Schema:
    for length in reversed([-1] if column.shape is None else column.shape):
        bounds = {"minItems": 1} if length < 0 else {"minItems": length, "maxItems": length}
        cell = {"type": "array", "items": cell, **bounds}
    return cell


def _predictions(outputs: Sequence[Column]) -> Schema:
    """Bare values or nested lists of a model with one output, or a table; anything if it is not known."""
    if not outputs:
        return {}
    if outputs[0].shape is not None:
        return _nested(outputs[0], value(outputs[0].dtype)) | {"minItems": 0} if len(outputs) == 1 else {}
    record = _object({column.name: value(column.dtype) for column in outputs}, [])
    shapes: list[Schema] = [{"type": "array", "items": record}]
    if len(outputs) == 1:
        shapes.append({"type": "array", "items": value(outputs[0].dtype)})
    return {"anyOf": shapes}
