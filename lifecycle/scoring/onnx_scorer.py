"""The compiled scorer: ONNX Runtime over arrays. Imports neither MLflow nor scikit-learn nor pandas."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is imported

import onnxruntime as ort

from lifecycle.scoring.compile import MISSING_TEXT, CompiledModel
from lifecycle.scoring.contract import Batch, Matrix, Params, Predictions, array_of, demand_columns
from lifecycle.scoring.signature import Signature


class OnnxScorer:
    """Runs a compiled model."""

    kind = "compiled"

    def __init__(self, compiled: CompiledModel) -> None:
        scorer = compiled.scorer
        self._signature = Signature.from_dict(dict(compiled.signature))
        self._outputs: list[str] = [scorer["output"]]
        self._matrix: str | None = scorer["matrix"]
        self._inputs = [(column.name or "input", column.name) for column in self._signature.inputs]
        self._dtype = np.dtype(scorer["dtype"])
        self._row_shape: list[int] = scorer["row_shape"]
        self._session = _session(compiled.onnx)

    @property
    def signature(self) -> Signature:
        """The model's inputs, outputs and parameters."""
        return self._signature

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch. A model with parameters is not compiled, so there are none."""
        del params
        if self._matrix is None or not isinstance(batch, Matrix):
            demand_columns(batch, self._signature)
        if self._matrix is not None:
            return self._run({self._matrix: array_of(batch, self._signature)})
        return self._run({given: _feed(batch[name]) for given, name in self._inputs})

    def _run(self, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
        if not len(next(iter(feed.values()))):  # which some of ONNX Runtime's operators refuse
            return np.empty((0, *self._row_shape), self._dtype)
        answer: NDArray[Any] = self._session.run(self._outputs, feed)[0]
        return answer if answer.dtype == self._dtype else answer.astype(self._dtype)

    def close(self) -> None:
        """Release the model. Idempotent."""
        self._session = None


def _feed(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object:
        cells = values.tolist()
        if None in cells:
            values = np.array([MISSING_TEXT if cell is None else cell for cell in cells], dtype=object)
    return values[:, None] if values.ndim == 1 else values


def _session(model: bytes) -> Any:
    # One thread: requests should not compete for cores, and sums keep one order, so that a row scores the same
    # alone and in a batch.
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
