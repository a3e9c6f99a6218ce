"""A request and its answer, independent of the web server."""

from __future__ import annotations

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]
"""Headers, names in lower case."""

NO_DEADLINE = float("inf")


class Request:
    """A client's request. Made once per request on the hot path, hence slots.

    Attributes:
        path: Decoded, without the query.
        body: Empty until it has been read.
        arrived: Time at which the headers were complete, in seconds of ``time.perf_counter``.
        deadline: Time from which the client no longer waits, on the same clock.
        peer: The client's address; empty if unknown.
        held: Bytes of the body read so far.
        begun: Whether the body has been read and the request counts as in flight.
        caller: Name of the caller, once known; empty without access control.
        id: The client's ``x-request-id``, or a new one; empty until it is needed.
    """

    __slots__ = (
        "arrived",
        "begun",
        "body",
        "caller",
        "deadline",
        "headers",
        "held",
        "id",
        "method",
        "path",
        "peer",
        "query",
    )

    def __init__(
        self, method: str, path: str, headers: Headers, *, query: bytes = b"", arrived: float = 0.0, peer: str = ""
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.query = query
        self.arrived = arrived
        self.peer = peer
        self.body = b""
        self.deadline = NO_DEADLINE
        self.held = 0
        self.begun = False
        self.caller = ""
        self.id = ""

    def wait_at_most(self, seconds: float) -> None:
        """Shorten the deadline: the client waits at most this long from the request's arrival."""
        self.deadline = min(self.deadline, self.arrived + seconds)

    def header(self, name: bytes) -> bytes | None:
        """The first header of a name, given in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Response:
    """The answer to a client. ``headers`` lacks only ``content-length``."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.body = body
        self.headers = headers


_JSON = (b"content-type", b"application/json")


def json_response(body: bytes, headers: Headers = (), status: int = 200) -> Response:
    """A response with ``body`` as ``application/json``."""
    return Response(status, body, [_JSON, *headers])
