"""Tensors in tables: a column of lists for each tensor, or a column of numbers for each value of a row.

The columns of a table have a signature of their own (:func:`table_signature`). Rows that were read by it become
the model's by :func:`as_tensors`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer, array_of
from lifecycle.scoring.signature import Column, InvalidInput, SchemaMismatch, Signature
from lifecycle.scoring.values import demand_present, tensor

_ANY_NAME = ("input", "inputs")
"""Names under which the only tensor of a model is found beside its own."""
_TYPES = pa.types


def table_signature(signature: Signature, schema: pa.Schema, kept: Collection[str] = ()) -> Signature:
    """The columns of a table that a model's rows are in, and what the model wants of each.

    Of a model that takes columns it is the model's own signature. A tensor is the column of its name. The only
    tensor of a model is also the column ``input`` or ``inputs``, the only column of lists, or all columns of
    numbers together in their order, if a row of it has so many values.

    Args:
        schema: Columns of raw CSV cells are ``binary``.
        kept: Columns that are no part of the rows.

    Raises:
        SchemaMismatch: a tensor is in no column, or could be in several.
    """
    if not signature.is_tensor:
        return signature
    if len(signature.inputs) > 1:
        demand_present(signature, schema.names)
        return signature
    (only,) = signature.inputs
    named = next((name for name in (only.name, *_ANY_NAME) if _may_be(name, only, schema)), None)
    lists = [field.name for field in schema if is_list(field.type) and field.name not in kept]
    if named is None and len(lists) > 1:
        raise SchemaMismatch(f"the rows have several columns of lists; name the model's {only.name or 'input'!r}")
    if named is not None or lists:
        return replace(signature, inputs=(replace(only, name=named or lists[0]),))
    return replace(signature, inputs=tuple(_flat_columns(only, schema, kept)))


def as_tensors(batch: Batch, table: Signature, signature: Signature) -> Batch:
    """Rows that were read by :func:`table_signature` as the model takes them.

    Raises:
        InvalidInput: a value does not fit the tensor.
    """
    if table.names == signature.names:
        return batch
    (only,) = signature.inputs
    if table.is_tensor:
        return {only.name: batch[table.names[0]]}
    return {only.name: tensor(only, shaped(array_of(batch, table), only))}


class OverTable:
    """A scorer of tensors that takes the columns of a table.

    Attributes:
        signature: That of the table's columns.
    """

    def __init__(self, scorer: Scorer, table: Signature) -> None:
        self._scorer = scorer
        self.kind = scorer.kind
        self.signature = table

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch of the table's columns."""
        return self._scorer.predict(as_tensors(batch, self.signature, self._scorer.signature), params)

    def close(self) -> None:
        """Release the model."""
        self._scorer.close()


def tensor_of(values: pa.Array | pa.ChunkedArray, column: Column) -> NDArray[Any]:
    """A column of numbers, or lists of them, as the tensor, without a copy where the type is the tensor's.

    Lists are nested as the tensor is, or each holds all values of a row in row-major order.

    Raises:
        InvalidInput: lists of different lengths, a missing value, other values than numbers, another shape.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not len(values):
        return np.empty((0, *(max(length, 0) for length in (column.shape or ())[1:])), column.dtype)
    shape = [len(values)]
    while is_list(values.type):
        _demand_whole(values, column)
        shape.append(_length(values))
        values = values.flatten()
    _demand_whole(values, column)
    if not _is_number(values.type):
        raise InvalidInput(f"the input wants {column.type} numbers")
    return tensor(column, shaped(values.to_numpy(zero_copy_only=False).reshape(shape), column))


def shaped(values: NDArray[Any], column: Column) -> NDArray[Any]:
    """Values of shape (rows, n) in the tensor's shape, if that has n values a row; others as they are."""
    shape = _row_shape(values.shape[1:], (column.shape or ())[1:])
    return values if shape is None else values.reshape(len(values), *shape)


def may_hold(column: Column, given: pa.DataType) -> bool:
    """Whether an Arrow type has values that fit the tensor."""
    lengths: list[int] = []
    while is_list(given):
        lengths.append(given.list_size if _TYPES.is_fixed_size_list(given) else -1)
        given = given.value_type
    fits = _is_number(given) and _TYPES.is_boolean(given) == (column.dtype.kind == "b")
    return (fits or _TYPES.is_null(given)) and _row_shape(lengths, (column.shape or ())[1:]) is not None


def lacking(values: pa.Array) -> NDArray[np.bool_]:
    """Which rows are missing, or hold a list or number that is."""
    missing: NDArray[np.bool_] = np.array(values.is_null())
    if is_list(values.type) and not missing.all():
        present = np.flatnonzero(~missing)
        lists = values.take(pa.array(present))
        parents = pc.list_parent_indices(lists).to_numpy()
        missing[present[parents[lacking(lists.flatten())]]] = True
    return missing


def is_list(given: pa.DataType) -> bool:
    """Whether an Arrow type is one of lists."""
    return bool(_TYPES.is_list(given) or _TYPES.is_large_list(given) or _TYPES.is_fixed_size_list(given))


def rows_of_one_shape(rows: pa.RecordBatch, table: Signature) -> list[NDArray[np.int64]]:
    """Positions of rows that can be one batch: where an axis of a tensor is free, those of each length apart."""
    free = [column.name for column in table.inputs if -1 in (column.shape or ())[1:]]
    lengths = [found for name in free for found in _lengths(rows.column(name))]
    if not lengths:
        return [np.arange(rows.num_rows)]
    _, group = np.unique(np.stack(lengths, axis=1), axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group.reshape(-1)[order])) + 1)


def _lengths(lists: pa.Array) -> list[NDArray[np.int64]]:
    """For each level of lists, the length of each row's first one; -1 where there is none."""
    found: list[NDArray[np.int64]] = []
    first, there = np.arange(len(lists)), np.ones(len(lists), bool)
    while is_list(lists.type) and there.any():
        lengths = pc.fill_null(pc.list_value_length(lists).cast(pa.int64()), 0).to_numpy()
        missing = np.array(lists.is_null())
        found.append(np.where(there & ~missing[first], lengths[first], -1))
        there = found[-1] > 0
        first = np.where(there, (np.cumsum(lengths) - lengths)[first], 0)
        lists = lists.flatten()
    return found


def list_column(values: NDArray[Any]) -> pa.Array:
    """An array as an Arrow column with one value a row: a number, or a list of as many axes as there are more."""
    column = pa.array(np.ascontiguousarray(values).reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        offsets = np.arange(math.prod(values.shape[:axis]) + 1, dtype=np.int32) * values.shape[axis]
        column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), column)
    return column


def _may_be(name: str, column: Column, schema: pa.Schema) -> bool:
    """Whether the column of that name can be the tensor; any type can under the tensor's own name."""
    if not name or name not in schema.names:
        return False
    return name == column.name or is_list(schema.field(name).type)


def _flat_columns(column: Column, schema: pa.Schema, kept: Collection[str]) -> list[Column]:
    shape = column.shape or ()
    names = [f.name for f in schema if _is_number(f.type) or _TYPES.is_binary(f.type) or _TYPES.is_null(f.type)]
    if _row_shape([len(names)], shape[1:]) is None or -1 in shape[1:]:
        names = [name for name in names if name not in kept]
    if not names or _row_shape([len(names)], shape[1:]) is None:
        raise SchemaMismatch(
            f"the input wants shape {shape}: one column of lists, named {column.name or 'input'!r}, or a "
            f"column of numbers for each value of a row; there are {len(names)}"
        )
    return [Column(name, _COLUMN_TYPES.get(column.type, "long")) for name in names]


_COLUMN_TYPES = {
    "bool": "boolean",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "int32": "integer",
}
"""MLflow's types of columns that hold the values of a tensor; ``long`` for all others."""


def _row_shape(lengths: Sequence[int], wanted: Sequence[int]) -> Sequence[int] | None:
    """The shape of a row whose lists have these lengths, -1 for unknown ones; None if it is not the wanted one."""
    if len(lengths) == len(wanted):
        fits = all(-1 in (have, want) or have == want for have, want in zip(lengths, wanted, strict=True))
        return lengths if fits else None
    if len(lengths) > 1 or -1 in wanted:
        return None
    size = lengths[0] if lengths else 1
    return wanted if size in (-1, math.prod(wanted)) else None


def _demand_whole(values: pa.Array, column: Column) -> None:
    if values.null_count:
        raise InvalidInput(f"the input wants {column.type} numbers, and one is missing")


def _length(lists: pa.Array) -> int:
    """The length of all lists. Raises SchemaMismatch if they differ."""
    if _TYPES.is_fixed_size_list(lists.type):
        return int(lists.type.list_size)
    lengths = pc.min_max(pc.list_value_length(lists)).as_py()
    if lengths["min"] != lengths["max"]:
        raise SchemaMismatch("the input is not a rectangular array")
    return int(lengths["max"] or 0)


def _is_number(given: pa.DataType) -> bool:
    return bool(_TYPES.is_integer(given) or _TYPES.is_floating(given) or _TYPES.is_boolean(given))
