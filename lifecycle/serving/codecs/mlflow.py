"""MLflow's scoring protocol: POST /invocations.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

import orjson

from lifecycle.scoring.contract import Predictions, row_count
from lifecycle.scoring.payload import decode, encode
from lifecycle.serving.body import content_type_of
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release


class MlflowCodec:
    """JSON or CSV to rows; predictions to ``{"predictions": …}``."""

    name = "mlflow"

    def decode(self, request: Request, release: Release) -> Call:
        """Read one of MLflow's body formats."""
        batch = decode(request.body, content_type_of(request), release.signature)
        return Call(batch, row_count(batch))

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """The answer."""
        return json_response(encode(predictions))

    def refuse(self, refusal: Refusal) -> Response:
        """MLflow's error JSON."""
        body = orjson.dumps({"error_code": refusal.code, "message": str(refusal)})
        return json_response(body, refusal.headers, refusal.status)
