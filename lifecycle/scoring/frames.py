"""Batches to and from pandas. Off the hot path: notebooks, gates and pyfunc models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Column, Signature
from lifecycle.scoring.values import assemble, tensor

_TEXT = pd.Series(["text"]).dtype
"""The type that pandas uses for text: ``str`` from pandas 3 on, ``object`` before."""


def batch_from_frame(frame: pd.DataFrame, signature: Signature) -> Batch:
    """The rows as a batch; additional columns are ignored.

    A tensor is given by columns of its numbers in row-major order, and then there may be no other columns.

    Raises:
        InvalidInput: a column is missing, or a value does not fit.
    """
    if signature.is_tensor:
        column = signature.inputs[0]
        return {column.name: tensor(column, _unflattened(frame.to_numpy(), column))}
    return assemble(signature, frame.columns, lambda name: frame[name].to_numpy(), len(frame))


def _unflattened(table: NDArray[Any], column: Column) -> NDArray[Any]:
    """Rows of the tensor's shape, unless the table has another number of columns than the tensor has numbers."""
    row_shape = (column.shape or ())[1:]
    fits = all(length > 0 for length in row_shape) and table.shape[1] == math.prod(row_shape)
    return table.reshape(len(table), *row_shape) if fits else table


def frame_from_batch(batch: Batch) -> pd.DataFrame:
    """The batch as a DataFrame, with NaN for missing text, as ``read_csv`` gives."""
    return pd.DataFrame({name: _with_nan(values) for name, values in batch.items()})


def _with_nan(values: np.ndarray[tuple[int, ...], np.dtype[np.object_]]) -> object:
    if values.dtype.kind != "O":
        return values
    text = pd.Series(np.array([np.nan if v is None else v for v in values], dtype=object))
    # missing text alone would become numbers, which MLflow refuses in a text column
    return text.astype(_TEXT) if text.isna().all() else text.infer_objects()
