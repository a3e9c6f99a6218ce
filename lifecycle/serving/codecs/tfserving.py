"""TensorFlow Serving over REST, prediction: POST /v1/models/{model}[/versions/{version}]:predict.

Protocol: https://www.tensorflow.org/tfx/serving/api_rest, "Predict API".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.json_rows import parse
from lifecycle.scoring.signature import InvalidInput
from lifecycle.serving.codec import Call
from lifecycle.serving.codecs.tf_values import batch_from_inputs, batch_from_instances
from lifecycle.serving.codecs.v2_tensors import to_json
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release

SIGNATURE = "serving_default"
"""Name of the one signature that a model has here, and the default."""

_FORMATS = {"instances": batch_from_instances, "inputs": batch_from_inputs}


class TfServingCodec:
    """Rows (``instances``) to ``predictions``, or columns (``inputs``) to ``outputs``."""

    name = "tfserving"

    def decode(self, request: Request, release: Release) -> Call:
        """Read either format. The Content-Type is ignored, as the protocol's clients send none, or a form's."""
        if (request.header(b"content-encoding") or b"identity") != b"identity":
            raise Refusal(415, "send the body without Content-Encoding")
        content = parse(request.body)
        given = [key for key in _FORMATS if key in content] if type(content) is dict else []
        if len(given) != 1:
            raise InvalidInput("the body must be a JSON object with either 'instances' or 'inputs'")
        if content.get("signature_name", SIGNATURE) not in (SIGNATURE, ""):
            raise InvalidInput(f"the model has one signature, {SIGNATURE!r}")
        batch, rows = _FORMATS[given[0]](content[given[0]], release.signature)
        return Call(batch, rows, None, given[0])

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """Encode predictions in the format of the request."""
        if call.reply == "inputs":
            content: dict[str, Any] = {"outputs": _columns(predictions)}
        else:
            content = {"predictions": _rows(predictions)}
        return json_response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY))

    def refuse(self, refusal: Refusal) -> Response:
        """The protocol's error object."""
        return json_response(orjson.dumps({"error": str(refusal)}), refusal.headers, refusal.status)


def _columns(predictions: Predictions) -> Any:
    """The bare tensor of a model with one output, else an object of tensors."""
    if isinstance(predictions, np.ndarray):
        return nested(predictions)
    if len(predictions) == 1:
        return nested(*predictions.values())
    return {name: nested(values) for name, values in predictions.items()}


def _rows(predictions: Predictions) -> Any:
    columns = _columns(predictions)
    if not isinstance(columns, dict):
        return columns
    lists = [values.tolist() if isinstance(values, np.ndarray) else values for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def nested(values: np.ndarray[Any, np.dtype[Any]]) -> Any:
    """A tensor in its own shape, for orjson."""
    if values.dtype.kind in "biuf" and values.dtype.itemsize != 2:
        return np.ascontiguousarray(values)
    flat = to_json(values)
    return flat if values.ndim == 1 else np.array(flat, dtype=object).reshape(values.shape).tolist()
