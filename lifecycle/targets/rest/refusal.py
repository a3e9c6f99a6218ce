"""How the server says no."""

from __future__ import annotations

import orjson

# MLflow's own names where it has one: its clients know them.
_CODES = {
    400: "BAD_REQUEST",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "DEADLINE_EXCEEDED",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


class ClientGone(Exception):
    """The client hung up; there is nobody to answer to."""


class Refusal(Exception):
    """An answer that is no prediction.

    Args:
        message: One line for the client; never a row's values, never a traceback.
        retry_after: Seconds, where trying again may help.
        close: Whether the connection is of no more use.
    """

    def __init__(self, status: int, message: str, *, retry_after: int = 0, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        if retry_after:
            self.headers["retry-after"] = str(retry_after)
        if close:
            self.headers["connection"] = "close"

    @property
    def body(self) -> bytes:
        """MLflow's error JSON."""
        return orjson.dumps({"error_code": _CODES.get(self.status, "BAD_REQUEST"), "message": str(self)})
