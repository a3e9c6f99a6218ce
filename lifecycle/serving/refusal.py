"""Error answers of the server."""

from __future__ import annotations

# MLflow's own error names where it has one, as its clients know them
CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "DEADLINE_EXCEEDED",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ClientGone(Exception):
    """The client has disconnected, so there is no one to answer."""


class Refusal(Exception):
    """An answer without predictions. Each codec has its own form for it.

    Args:
        message: One line for the client, without row values and tracebacks.
        code: Stable error code; the status's usual one when empty.
        retry_after: Seconds after which trying again may help.
        close: Whether to close the connection.
        headers: More headers, such as ``www-authenticate``.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        retry_after: int = 0,
        close: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or CODES.get(status, "BAD_REQUEST")
        self.headers = [*headers]
        if retry_after:
            self.headers.append((b"retry-after", b"%d" % retry_after))
        if close:
            self.headers.append((b"connection", b"close"))


def not_ready() -> Refusal:
    """Nothing is loaded yet, or the server is ending."""
    return Refusal(503, "not ready", retry_after=1)


def too_late() -> Refusal:
    """The deadline has passed."""
    return Refusal(504, "not answered within the time that the request was given")


def too_large(limit: int) -> Refusal:
    """A body of more than ``limit`` bytes."""
    return Refusal(413, f"the body is larger than {limit / 2**20:g} MiB; send fewer rows at a time")
