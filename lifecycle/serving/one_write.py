"""Sends an answer with one system call. uvicorn writes head and body apart, which costs a small prediction."""

from __future__ import annotations

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from lifecycle.serving.header_lines import line_of

_CLOSE = (b"connection", b"close")
_CLOSE_LINE = b"connection: close\r\n"


class OneWrite(RequestResponseCycle):
    """uvicorn's response cycle, except that an answer in one piece of known length is written at once."""

    _start: ASGISendEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Send an ASGI message."""
        if self._start is None and message["type"] == "http.response.start" and not self.response_started:
            self._start = message
            self.response_started = True  # an exception from here on closes the connection
            return
        start, self._start = self._start, None
        if start is None:
            await super().send(message)
        elif self._in_one_piece(start, message):
            self._answer(start, message["body"])  # type: ignore[typeddict-item]
        else:
            self.response_started = False
            await super().send(start)
            await super().send(message)

    def _in_one_piece(self, start: ASGISendEvent, message: ASGISendEvent) -> bool:
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body", False)
            and not self.disconnected
            and not self.flow.write_paused
            and self.scope["method"] != "HEAD"
            and (b"content-length", b"%d" % len(message["body"])) in start["headers"]  # type: ignore[typeddict-item]
        )

    def _answer(self, start: ASGISendEvent, body: bytes) -> None:
        headers = [*self.default_headers, *start["headers"]]  # type: ignore[typeddict-item]
        parts = [STATUS_LINE[start["status"]], *map(line_of, headers)]  # type: ignore[typeddict-item]
        if _CLOSE in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            parts.append(_CLOSE_LINE)
        parts += (b"\r\n", body)
        self.transport.write(b"".join(parts))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive and not self.more_body:  # otherwise the client would lose the answer
            self.transport.close()
        self.on_response()
