"""Batches to and from pandas. Off the hot path: notebooks, gates and pyfunc models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, InvalidInput, SchemaMismatch, Signature
from lifecycle.scoring.values import assemble, tensor

if TYPE_CHECKING:
    import pyarrow as pa

_TEXT = pd.Series(["text"]).dtype
"""The type that pandas uses for text: ``str`` from pandas 3 on, ``object`` before."""


def batch_from_frame(frame: pd.DataFrame, signature: Signature) -> Batch:
    """The rows as a batch; additional columns are ignored.

    Cells of tensors are lists or arrays; :mod:`lifecycle.scoring.tensor_rows` says in which columns.

    Raises:
        InvalidInput: a column is missing, or a value does not fit.
    """
    if signature.is_tensor:
        return _tensors(frame, signature)
    return assemble(signature, frame.columns, lambda name: frame[name].to_numpy(), len(frame))


def _tensors(frame: pd.DataFrame, signature: Signature) -> Batch:
    from lifecycle.scoring.tensor_rows import shaped, table_signature

    frame = frame.set_axis(frame.columns.map(str), axis=1)
    columns = table_signature(signature, _schema_of(frame))
    if not columns.is_tensor:
        (only,) = signature.inputs
        return {only.name: tensor(only, shaped(frame[list(columns.names)].to_numpy(), only))}
    pairs = zip(signature.inputs, columns.names, strict=True)
    return {c.name: tensor(c, shaped(_stacked(frame[name].to_numpy(), c), c)) for c, name in pairs}


def _schema_of(frame: pd.DataFrame) -> pa.Schema:
    """The columns, as lists, numbers or something else."""
    import pyarrow as pa

    def kind(values: pd.Series[Any]) -> pa.DataType:
        if pd.api.types.is_numeric_dtype(values.dtype):
            return pa.float64()
        return pa.list_(pa.float64()) if values.map(_is_nested).any() else pa.string()

    return pa.schema([(name, kind(values)) for name, values in frame.items()])


def _stacked(cells: Any, column: Column) -> NDArray[Any]:
    """Lists and arrays, nested to any depth, as one array.

    Raises:
        InvalidInput: they have different lengths, or one is missing.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        return cells
    if not _is_nested(cells):
        raise InvalidInput(f"the input wants {column.type} numbers, and one is missing")
    if any(map(_is_nested, cells)):
        try:
            return np.stack([_stacked(cell, column) for cell in cells])
        except ValueError:
            raise SchemaMismatch("the input is not a rectangular array") from None
    if len({isinstance(cell, bool | np.bool_) for cell in cells}) > 1:  # numpy would read True as 1
        raise InvalidInput(f"the input wants {column.type} numbers")
    return np.asarray(list(cells))


def _is_nested(cell: Any) -> bool:
    return isinstance(cell, list | tuple | np.ndarray)


def frame_from_batch(batch: Batch) -> pd.DataFrame:
    """The batch as a DataFrame, with NaN for missing text, as ``read_csv`` gives."""
    return pd.DataFrame({name: _with_nan(values) for name, values in batch.items()})


def _with_nan(values: np.ndarray[tuple[int, ...], np.dtype[np.object_]]) -> object:
    if values.dtype.kind != "O":
        return values
    text = pd.Series(np.array([np.nan if v is None else v for v in values], dtype=object))
    # missing text alone would become numbers, which MLflow refuses in a text column
    return text.astype(_TEXT) if text.isna().all() else text.infer_objects()
