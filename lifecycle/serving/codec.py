"""What a scoring protocol is: bytes to rows, predictions to bytes, refusals in its own shape."""

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
        reply: Whatever the codec needs to know again when it encodes the answer.
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
    """One protocol. Stateless and shared by all requests."""

    name: str
    """For metrics and logs: ``mlflow``, ``v2``, ``tfserving``."""

    def decode(self, request: Request, release: Release) -> Call:
        """Read the request's body.

        Raises:
            InvalidInput: malformed, or the rows do not fit the signature; answered with 400.
            UnsupportedContentType: answered with 415.
            Refusal: anything else.
        """
        ...

    def encode(self, call: Call, predictions: Predictions, release: Release) -> Response:
        """The answer, without the release's own headers, which the application adds."""
        ...

    def refuse(self, refusal: Refusal) -> Response:
        """An answer that is no prediction."""
        ...
