"""MLflow's signature for the Open Inference Protocol: one tensor per column, or the model's own tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.scoring.values import assemble, tensor
from lifecycle.serving.codecs.v2_matrix import one_tensor
from lifecycle.serving.codecs.v2_tensors import Array, column_datatype


def described(columns: Sequence[Column], side: str) -> list[dict[str, Any]]:
    """Inputs or outputs as model metadata; a column is a tensor with one value per row.

    Args:
        side: ``input`` or ``output``, to name those without a name.
    """
    return [
        {"name": _name(column, place, side), "datatype": column_datatype(column), "shape": _shape(column)}
        for place, column in enumerate(columns)
    ]


def batch_of(tensors: Mapping[str, Array], signature: Signature) -> tuple[Batch, int]:
    """The tensors as a batch, and its number of rows. Unknown tensors are ignored.

    A single tensor ``[rows, columns]`` stands for all columns in their order.

    Raises:
        InvalidInput: a tensor is missing, or its shape or values do not fit the signature.
    """
    if signature.is_tensor:
        return _tensors(tensors, signature)
    if len(tensors) == 1:
        matrix = one_tensor(next(iter(tensors.values())), signature)
        if matrix is not None:
            return matrix, len(matrix.array)
        tensors = _one_for_all(tensors, signature)
    columns, rows = {}, -1
    for place, column in enumerate(signature.inputs):
        values = tensors.get(_name(column, place, "input"))
        if values is None:
            continue
        if values.ndim != 1:
            values = _flat(column, values)
        if rows not in (-1, len(values)):
            raise InvalidInput(f"input {column.name!r} has {len(values)} rows and the one before it {rows}")
        columns[column.name], rows = values, len(values)
    return assemble(signature, columns, columns.__getitem__, max(rows, 0)), max(rows, 0)


def outputs_of(predictions: Predictions, signature: Signature) -> Mapping[str, Array]:
    """Predictions under the names in the metadata; ``output-0`` for an unnamed one."""
    if not isinstance(predictions, np.ndarray):
        return {name or f"output-{i}": values for i, (name, values) in enumerate(predictions.items())}
    names = [_name(column, place, "output") for place, column in enumerate(signature.outputs)]
    if len(names) > 1 and predictions.ndim == 2 and predictions.shape[1] == len(names):
        return {name: predictions[:, place] for place, name in enumerate(names)}
    return {names[0] if len(names) == 1 else "output-0": predictions}


def _tensors(tensors: Mapping[str, Array], signature: Signature) -> tuple[Batch, int]:
    named = {_name(column, place, "input"): column for place, column in enumerate(signature.inputs)}
    if len(named) == 1 and len(tensors) == 1:  # then it is clear which output is meant
        tensors = dict(zip(named, tensors.values(), strict=True))
    lacking = [name for name in named if name not in tensors]
    if lacking:
        raise InvalidInput(f"the request lacks input(s) {', '.join(map(repr, lacking))}")
    batch = {column.name: _tensor(column, name, tensors[name]) for name, column in named.items()}
    rows = {len(values) for values in batch.values()}
    if len(rows) > 1:
        raise InvalidInput("the inputs have different numbers of rows")
    return batch, rows.pop()


def _tensor(column: Column, name: str, values: Array) -> Array:
    if values.dtype.kind == "f" and column.dtype.kind in "iu":
        raise InvalidInput(f"input {name!r} wants {column_datatype(column)}")
    return tensor(column, values)


def _one_for_all(tensors: Mapping[str, Array], signature: Signature) -> Mapping[str, Array]:
    (given, values), width = next(iter(tensors.items())), len(signature.inputs)
    names = [_name(column, place, "input") for place, column in enumerate(signature.inputs)]
    if values.ndim == 2 and values.shape[1] == width:
        return {name: values[:, place] for place, name in enumerate(names)}
    if given in names:
        return tensors
    if width == 1 and values.ndim == 1:
        return {names[0]: values}
    raise InvalidInput(
        f"the model takes the inputs {', '.join(map(repr, names[:20]))} or one of shape [rows, {width}]"
    )


def _flat(column: Column, values: Array) -> Array:
    if values.ndim != 2 or values.shape[1] != 1:
        raise InvalidInput(f"input {column.name!r} wants one value a row: shape [rows] or [rows, 1]")
    return values.reshape(-1)


def _name(column: Column, place: int, side: str) -> str:
    return column.name or f"{side}-{place}"


def _shape(column: Column) -> list[int]:
    return [-1] if column.shape is None else list(column.shape)
