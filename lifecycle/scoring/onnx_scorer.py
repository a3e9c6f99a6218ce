"""The compiled scorer: ONNX Runtime over arrays. Imports neither MLflow nor scikit-learn nor pandas."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is read when ONNX Runtime is imported

import onnxruntime as ort

from lifecycle.scoring.contract import Batch, Params, Predictions, demand_columns, row_count
from lifecycle.scoring.signature import Signature

MISSING_TEXT = "nan"
"""What a missing text becomes: ONNX strings have no missing value, and skl2onnx spells an encoder's own
NaN category ``nan``."""


class OnnxScorer:
    """A compiled snapshot.

    Args:
        compiled: Folder with ``model.onnx`` and ``scorer.json``, as ``compile_snapshot`` leaves it.
    """

    kind = "compiled"

    def __init__(self, compiled: Path) -> None:
        description = json.loads((compiled / "scorer.json").read_text(encoding="utf-8"))
        self._signature = Signature.from_dict(description["signature"])
        self._output: str = description["output"]
        self._dtype = np.dtype(description["dtype"])
        self._row_shape: list[int] = description["row_shape"]
        # One thread: a request should not fight its neighbours for cores, and sums stay in one order,
        # so that a row scores the same alone and in a batch.
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = ort.InferenceSession(
            str(compiled / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    @property
    def signature(self) -> Signature:
        """The inputs the model takes."""
        return self._signature

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch. A model that takes parameters is not compiled, so there are none."""
        del params
        demand_columns(batch, self._signature)
        if row_count(batch) == 0:  # which some of ONNX Runtime's operators refuse
            return np.empty((0, *self._row_shape), self._dtype)
        feed = {c.name or "input": _feed(batch[c.name]) for c in self._signature.inputs}
        answer: NDArray[Any] = self._session.run([self._output], feed)[0]
        return answer.astype(self._dtype, copy=False)

    def close(self) -> None:
        """Release the model. Idempotent."""
        self._session = None


def _feed(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "O":
        values = np.array([MISSING_TEXT if v is None else v for v in values], dtype=object)
    return values.reshape(-1, 1) if values.ndim == 1 else values
