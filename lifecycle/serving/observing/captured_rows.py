"""Captured requests as Arrow columns: inputs by name, and the server's own data under a prefix.

Without the prefix a prediction could be taken for the label of the same name, and the gates would
compare the model with itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.errors import OptionError
from lifecycle.scoring.contract import Batch, Matrix, Predictions
from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing.arrow_columns import arrow_of, kind_of
from lifecycle.serving.observing.identity import identify

PREFIX = "_lifecycle_"


def table_of(exchanges: Sequence[Exchange], signature: Signature, version: int, masked: Set[str]) -> pa.Table:
    """One row per scored row, in the order of the answers.

    Args:
        exchanges: Exchanges that one version answered.
        masked: Columns whose values are replaced by null.

    Raises:
        OptionError: a masked column does not exist: a misspelt name must not let values through.
    """
    calls = [exchange.call for exchange in exchanges if exchange.call is not None]
    counts = [call.rows for call in calls]
    batches, sizes = _merged([call.batch for call in calls], counts)
    columns = {}
    for column in signature.inputs:
        arrays = [batch.get(column.name) for batch in batches]
        columns[column.name or "input"] = _input(column, arrays, sizes, column.name in masked)
    columns |= _predicted([e.predictions for e in exchanges if e.predictions is not None], masked)
    if unknown := sorted(masked - set(columns)):
        raise OptionError(f"capture_mask names {unknown[0]!r}, which is not a column of version {version}")
    offset = time.time() - time.perf_counter()
    moments = np.array([(e.request.arrived + offset) * 1e6 for e in exchanges]).astype("int64")
    names = np.array([identify(e.request) for e in exchanges], dtype=object)
    columns[PREFIX + "time"] = _column(np.repeat(moments, counts)).cast(pa.timestamp("us", "UTC"))
    columns[PREFIX + "request_id"] = _column(np.repeat(names, counts))
    columns[PREFIX + "version"] = _column(np.full(sum(counts), version))
    return pa.Table.from_arrays([*columns.values()], [*columns])


def _merged(batches: Sequence[Batch], counts: Sequence[int]) -> tuple[Sequence[Batch], Sequence[int]]:
    """One batch of many that are one array each: 30 times as fast as column by column."""
    names = tuple(batches[0])
    arrays = [batch.array for batch in batches if isinstance(batch, Matrix) and batch.names == names]
    if len(arrays) < len(batches):
        return batches, counts
    return [Matrix(names, np.concatenate(arrays))], [sum(counts)]


def _input(column: Column, arrays: Sequence[NDArray[Any] | None], counts: Sequence[int], masked: bool) -> pa.Array:
    kind = kind_of(column.dtype)
    if masked:
        return pa.nulls(sum(counts), kind)
    parts = [array for array in arrays if array is not None]
    if len(parts) < len(arrays):  # an optional column that some requests lack
        pairs = zip(arrays, counts, strict=True)
        return pa.concat_arrays([pa.nulls(n, kind) if a is None else arrow_of(a, column.dtype) for a, n in pairs])
    return _column(_joined(parts), column.dtype)


def _predicted(answers: Sequence[Predictions], masked: Set[str]) -> dict[str, pa.Array]:
    first = answers[0]
    if isinstance(first, Mapping):
        columns = {f"{PREFIX}prediction_{name}": _joined([a[name] for a in answers]) for name in first}
    else:
        joined = _joined([np.asarray(a) for a in answers])
        if joined.ndim == 1:
            columns = {PREFIX + "prediction": joined}
        else:
            flat = joined.reshape(len(joined), -1)
            columns = {f"{PREFIX}prediction_{i}": flat[:, i] for i in range(flat.shape[1])}
    made = {name: _column(values) for name, values in columns.items()}
    return {name: pa.nulls(len(array), array.type) if name in masked else array for name, array in made.items()}


def _column(values: NDArray[Any], dtype: np.dtype[Any] | None = None) -> pa.Array:
    """A value a row, or the list of all values of a row."""
    dtype = dtype or values.dtype
    if values.ndim == 1:
        return arrow_of(values, dtype)
    flat = values.reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(arrow_of(flat.ravel(), dtype), flat.shape[1])


def _joined(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
