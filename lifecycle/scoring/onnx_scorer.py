"""The compiled scorer: ONNX Runtime over arrays. Imports neither MLflow nor scikit-learn nor pandas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when ONNX Runtime is imported

import onnxruntime as ort

from lifecycle.scoring.compiled import MISSING_TEXT, CompiledModel
from lifecycle.scoring.contract import Batch, Fields, Matrix, Params, Predictions, array_of, demand_columns
from lifecycle.scoring.signature import Signature


class OnnxScorer:
    """Runs a compiled model."""

    kind = "compiled"

    def __init__(self, compiled: CompiledModel) -> None:
        scorer = compiled.scorer
        self._signature = Signature.from_dict(dict(compiled.signature))
        self._parts = [_Part.of(part) for part in scorer["outputs"]]
        self._outputs = [part.output for part in self._parts]
        self._answer = _ANSWERS[scorer["answer"]]
        self._matrix: str | None = scorer["matrix"]
        self._inputs = [(column.name or "input", column.name) for column in self._signature.inputs]
        self._feed = _tensor if self._signature.is_tensor else _column
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
        return self._run({given: self._feed(batch[name]) for given, name in self._inputs})

    def _run(self, feed: dict[str, NDArray[Any]]) -> Predictions:
        if not len(next(iter(feed.values()))):  # which some of ONNX Runtime's operators refuse
            found = [np.empty((0, *part.row_shape), part.dtype) for part in self._parts]
        else:
            found = self._session.run(self._outputs, feed)
        return self._answer(
            (part.name, values if values.dtype == part.dtype else values.astype(part.dtype))
            for part, values in zip(self._parts, found, strict=True)
        )

    def close(self) -> None:
        """Release the model. Idempotent."""
        self._session = None


class _Part(NamedTuple):
    """One output and what pyfunc makes of it."""

    output: str
    name: str
    dtype: np.dtype[Any]
    row_shape: list[int]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> _Part:
        return cls(fields["output"], fields["name"], np.dtype(fields["dtype"]), fields["row_shape"])


def _only(parts: Iterable[tuple[str, NDArray[Any]]]) -> NDArray[Any]:
    ((_, values),) = parts
    return values


_ANSWERS: Mapping[str, Callable[[Iterable[tuple[str, NDArray[Any]]]], Predictions]] = {
    "array": _only,
    "table": dict,
    "fields": Fields,
}


def _tensor(values: NDArray[Any]) -> NDArray[Any]:
    return values


def _column(values: NDArray[Any]) -> NDArray[Any]:
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
