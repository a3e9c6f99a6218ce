"""A scoring protocol: request bytes to rows, predictions to bytes, refusals in the protocol's own form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.serving.message import Request, Response
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release


class Call:
    """A decoded request.

    Attributes:
        params: MLflow's inference parameters, checked against the signature; None for none.
        reply: What the codec needs to encode the answer.
    """

    __slots__ = ("batch", "params", "reply", "rows")

    def __init__(
        self, batch: Batch, rows: int, params: Mapping[str, Any] | None = None, reply: Any = None
    ) -> None:
        self.batch = batch
        self.rows = rows
        self.params = params
        self.reply = reply


class Codec(Protocol):
    """One protocol. Stateless; one instance serves all requests."""

    name: str
    """Protocol name in metrics and logs: ``mlflow``, ``v2``, ``tfserving``."""

    def decode(self, request: Request, release: Release) -> Call:
        """Read the request's body.

        Raises:
            InvalidInput: malformed, or the rows do not fit the signature; answered with 400.
            UnsupportedContentType: answered with 415.
            Refusal: anything else.
        """
        ...

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """Encode predictions. The application adds the release's own headers."""
        ...

    def refuse(self, refusal: Refusal) -> Response:
        """Encode a refusal, an answer without predictions."""
        ...
