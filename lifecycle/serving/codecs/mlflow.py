"""MLflow's scoring protocol: POST /invocations.

Protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

import orjson

from lifecycle.scoring.contract import Predictions
from lifecycle.scoring.payload import ARROW, UnsupportedContentType, encode, encode_unwrapped, read
from lifecycle.scoring.signature import InvalidInput, InvalidParams, Malformed, SchemaMismatch
from lifecycle.serving.body import content_type_of
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request, Response, json_response
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release


class MlflowCodec:
    """JSON, CSV, Parquet or Arrow to rows; predictions to ``{"predictions": …}``."""

    name = "mlflow"

    def decode(self, request: Request, release: Release) -> Call:
        """Read one of MLflow's body formats."""
        try:
            batch, rows, params, unwrapped = read(request.body, content_type_of(request), release.signature)
        except InvalidInput as exc:
            raise _refusal(exc) from None
        except UnsupportedContentType as exc:
            raise Refusal(415, str(exc)) from None
        return Call(batch, rows, params, _UNWRAPPED if unwrapped else _wish(request))

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """Encode predictions as JSON or an Arrow stream."""
        if call.reply is None:
            return json_response(encode(predictions))
        if call.reply is _UNWRAPPED:
            return json_response(encode_unwrapped(predictions))
        from lifecycle.scoring.arrow_rows import stream_from_predictions  # pyarrow, for clients that ask

        try:
            return Response(200, stream_from_predictions(predictions), [_ARROW])
        except ValueError:
            raise Refusal(406, "these predictions have no Arrow form; leave out the Accept header") from None

    def refuse(self, refusal: Refusal) -> Response:
        """MLflow's error JSON; plain text for an unsupported media type, as MLflow answers."""
        if refusal.status == 415:
            return Response(415, str(refusal).encode(), [_TEXT, *refusal.headers])
        error = {"error_code": refusal.code, "message": str(refusal)}
        if refusal.status == 400:
            error |= _SCHEMA if str(refusal).startswith(_MISMATCH) else _BAD
        return json_response(orjson.dumps(error), refusal.headers, refusal.status)


_UNWRAPPED = "unwrapped"
_STREAM = "stream"
_ARROW = (b"content-type", ARROW.encode())
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_MISMATCH = "Failed to enforce schema of data"
# what MLflow 3 adds to its two kinds of 400
_SCHEMA = {"sqlstate": "KAM01", "error_class": "SCHEMA_ENFORCEMENT_FAILED"}
_BAD = {"sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE"}


def _wish(request: Request) -> str | None:
    """The wanted form of the answer: an Arrow stream if the client asks for one, else JSON."""
    accept = request.header(b"accept")
    return _STREAM if accept is not None and ARROW.encode() in accept else None


def _refusal(exc: InvalidInput) -> Refusal:
    if isinstance(exc, SchemaMismatch):
        return Refusal(400, f"{_MISMATCH}. Error: {exc}", code="INVALID_PARAMETER_VALUE")
    if isinstance(exc, InvalidParams):
        return Refusal(400, str(exc), code="INVALID_PARAMETER_VALUE")
    if isinstance(exc, Malformed):
        return Refusal(400, str(exc))
    return Refusal(400, f"Invalid input. Data is not compatible with model signature. Error: {exc}")
