"""Batches from Arrow, predictions to Arrow: the batch target's currency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.scoring.assemble import assemble
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import InvalidInput, Signature


def batch_from_arrow(rows: pa.RecordBatch, signature: Signature) -> Batch:
    """The rows as a batch; extra columns are left out.

    Raises:
        InvalidInput: a column is missing, or a value does not fit.
    """
    if signature.is_tensor:
        raise InvalidInput("the model takes tensors; batch scoring needs named columns")
    return assemble(
        signature,
        rows.schema.names,
        lambda name: rows.column(name).to_numpy(zero_copy_only=False),
        rows.num_rows,
    )


def arrow_from_predictions(predictions: Predictions) -> pa.RecordBatch:
    """One column ``prediction``; ``prediction_0`` … for several; the model's own names where it has them."""
    if not isinstance(predictions, np.ndarray):
        return pa.RecordBatch.from_pydict({name: pa.array(values) for name, values in predictions.items()})
    if predictions.ndim == 1:
        return pa.RecordBatch.from_pydict({"prediction": pa.array(predictions)})
    flat: NDArray[Any] = predictions.reshape(len(predictions), -1)
    return pa.RecordBatch.from_pydict(
        {f"prediction_{i}": pa.array(np.ascontiguousarray(flat[:, i])) for i in range(flat.shape[1])}
    )
