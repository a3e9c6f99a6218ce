"""A request and its answer, whatever web server carries them."""

from __future__ import annotations

from collections.abc import Sequence

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

NO_DEADLINE = float("inf")


class Request:
    """What a client asks. Made once a request, on the hot path: slots and no more.

    Attributes:
        path: Decoded, without the query.
        body: Empty until it has been read.
        arrived: When the headers were there, in seconds of ``time.perf_counter``.
        deadline: When nobody waits for the answer any more, on the same clock.
        peer: The client's address; empty where the server does not know it.
        held: Bytes of the body that have been read.
        begun: Whether it has been read and has one of the places for requests in flight.
        caller: Who asks, once that is known; empty for anybody.
        id: The client's ``x-request-id``, or one of ours; empty until somebody needs it.
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
        """The client waits no longer than that, counted from the request's arrival."""
        self.deadline = min(self.deadline, self.arrived + seconds)

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name, which is given in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Response:
    """What the client gets. ``headers`` lacks only ``content-length``."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.body = body
        self.headers = headers


_JSON = (b"content-type", b"application/json")


def json_response(body: bytes, headers: Headers = (), status: int = 200) -> Response:
    """``body`` as ``application/json``."""
    return Response(status, body, [_JSON, *headers])
