"""TensorFlow Serving's pages: a model's status and metadata.

Protocol: https://www.tensorflow.org/tfx/serving/api_rest, "Model status API" and "Model Metadata API".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from lifecycle.scoring.signature import Column
from lifecycle.serving.codecs.tfserving import SIGNATURE
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.pages.named import named_release
from lifecycle.serving.state import State

# tensorflow/core/framework/types.proto, by numpy's names
_TYPES = {
    "bool": "DT_BOOL",
    "float16": "DT_HALF",
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    **{f"{sign}int{bits}": f"DT_{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class TfModelPages:
    """All paths under ``/v1`` that do not score."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def status(self, request: Request) -> Response:
        """Status of a model: AVAILABLE when it answers."""
        release = named_release(request, self._state.releases)
        status = {
            "version": str(release.desired.version),
            "state": "UNLOADING" if self._state.draining else "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return json_response(orjson.dumps({"model_version_status": [status]}), release.headers)

    async def metadata(self, request: Request) -> Response:
        """Inputs and outputs of a model."""
        release = named_release(request, self._state.releases)
        definition = {
            "inputs": _tensors(release.signature.inputs, "input"),
            "outputs": _tensors(release.signature.outputs, "output"),
            "method_name": "tensorflow/serving/predict",
        }
        content = {
            "model_spec": {"name": release.name, "signature_name": "", "version": str(release.desired.version)},
            "metadata": {"signature_def": {"signature_def": {SIGNATURE: definition}}},
        }
        return json_response(orjson.dumps(content), release.headers)


def _tensors(columns: Sequence[Column], side: str) -> dict[str, Any]:
    return {(column.name or f"{side}-{place}"): _tensor(column) for place, column in enumerate(columns)}


def _tensor(column: Column) -> dict[str, Any]:
    shape = [-1] if column.shape is None else column.shape
    return {
        "dtype": _TYPES.get(column.dtype.name, "DT_STRING"),
        "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in shape], "unknown_rank": False},
        "name": column.name,
    }
