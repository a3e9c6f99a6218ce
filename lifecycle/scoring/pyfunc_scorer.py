"""The fallback scorer and the reference for the others: MLflow's own pyfunc."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, Fields, Params, Predictions, demand_columns, row_count
from lifecycle.scoring.frames import frame_from_batch
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.signature import InvalidInput, Signature


class PyfuncScorer:
    """A snapshot, loaded with ``mlflow.pyfunc``."""

    kind = "pyfunc"

    def __init__(self, snapshot: Path) -> None:
        # a module of the model's own code would leave its bytecode in the snapshot, which may hold nothing new
        sys.dont_write_bytecode = True
        self._snapshot = snapshot
        self._signature = Signature.from_snapshot(snapshot)
        self._model: Any = mlflow.pyfunc.load_model(str(snapshot), suppress_warnings=True)

    @property
    def signature(self) -> Signature:
        """The model's inputs, outputs and parameters."""
        return self._signature

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch."""
        demand_columns(batch, self._signature)
        if row_count(batch) == 0:  # which scikit-learn refuses
            return self._none()
        if self._signature.is_tensor:
            tensors = dict(batch)
            return _normalised(self._model.predict(tensors if len(tensors) > 1 else tensors.popitem()[1], params))
        return _normalised(self._model.predict(frame_from_batch(batch), params))

    def _none(self) -> Predictions:
        """The answer to zero rows, in the shape of the answer to the model's input example."""
        example = golden_batch(self._snapshot)
        if example is None or not row_count(example):
            raise InvalidInput("there are no rows to score")
        answer = self.predict(example)
        if isinstance(answer, np.ndarray):
            return answer[:0]
        nothing = {name: values[:0] for name, values in answer.items()}
        return Fields(nothing) if isinstance(answer, Fields) else nothing

    def close(self) -> None:
        """Release the model. Idempotent."""
        self._model = None


def _normalised(answer: Any) -> Predictions:
    """One form for pyfunc's answers, which may be a frame, a series, an array or a list."""
    if isinstance(answer, pd.DataFrame):
        return {str(name): answer[name].to_numpy() for name in answer.columns}
    if isinstance(answer, dict):
        return Fields({str(name): _array(values) for name, values in answer.items()})
    return _array(answer)


def _array(values: Any) -> NDArray[Any]:
    """As a numpy array, unless that would change values: numbers among texts, lists of different lengths."""
    if isinstance(values, list | tuple) and not _alike(values):
        return np.fromiter(values, object, len(values))
    return np.asarray(values)


def _alike(values: Sequence[Any]) -> bool:
    kinds = set(map(type, values))
    if kinds <= {list, tuple} and values:
        return len(set(map(len, values))) == 1 and _alike([cell for row in values for cell in row])
    return kinds <= {float, int} or (len(kinds) <= 1 and not kinds & {dict})
