"""Merging batches into one, and splitting its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Fields, Matrix, Predictions


class NotByRow(Exception):
    """The model does not give one prediction per row, so they cannot be split."""


def fit_together(one: Batch, other: Batch) -> bool:
    """Whether the columns of two batches can be concatenated: same names, types and inner shapes."""
    if isinstance(one, Matrix) and isinstance(other, Matrix):
        return one.names == other.names and one.array.dtype == other.array.dtype
    return one.keys() == other.keys() and all(
        values.dtype == other[name].dtype and values.shape[1:] == other[name].shape[1:]
        for name, values in one.items()
    )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """The rows of all batches, in order. The batches fit together."""
    first = batches[0]
    arrays = [batch.array for batch in batches if isinstance(batch, Matrix)]
    if isinstance(first, Matrix) and len(arrays) == len(batches):
        return Matrix(first.names, np.concatenate(arrays))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in first}


def repeat(batch: Batch, rows: int) -> Batch:
    """A batch of so many rows, made by repeating its rows."""
    if isinstance(batch, Matrix):
        return Matrix(batch.names, np.resize(batch.array, (rows, batch.array.shape[1])))
    return {name: np.resize(values, (rows, *values.shape[1:])) for name, values in batch.items()}


def split(predictions: Predictions, rows: Sequence[int]) -> Iterator[Predictions]:
    """The predictions of each batch.

    Args:
        rows: Number of rows of each batch.

    Raises:
        NotByRow: the numbers of predictions and rows differ.
    """
    columns = predictions.values() if isinstance(predictions, Mapping) else [predictions]
    if any(column.ndim == 0 or len(column) != sum(rows) for column in columns):
        raise NotByRow
    start = 0
    for count in rows:
        yield _slice(predictions, start, start + count)
        start += count


def _slice(predictions: Predictions, start: int, stop: int) -> Predictions:
    if isinstance(predictions, Mapping):
        kind = Fields if isinstance(predictions, Fields) else dict
        return kind({name: values[start:stop] for name, values in predictions.items()})
    part: NDArray[Any] = predictions[start:stop]
    return part
