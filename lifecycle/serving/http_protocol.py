"""HTTP/1.1 for slow, many or hostile clients: uvicorn's protocol with limits.

Uvicorn limits how long an idle connection is kept, and nothing else: a client that sends a header byte by byte, or
never reads the answer, is served for ever. All limits but one are checked for every connection once a
second, so they cost a request nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from lifecycle.serving.one_write import OneWrite
from lifecycle.serving.settings import Settings

_LOOK_EVERY_S = 1.0
_HEAD_S = 5.0
_READ_S = 15.0
_HEAD_BYTES = 64 * 2**10
_UNREAD_BYTES = 128 * 2**20
"""Most bytes to read of a body whose request has been refused: closing at once would often lose the answer."""
_TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def http_protocol(settings: Settings) -> type[HttpToolsProtocol]:
    """A protocol class for ``uvicorn.Config(http=…)``, with the limits of one worker."""
    return type("BoundedHttp", (BoundedHttp,), {"door": _Door(settings)})


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    door: _Door

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stage: object = None
        """What it was doing when it was last looked at, and since when."""
        self.since = 0.0
        self._stray = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it at once."""
        super().connection_made(transport)
        if not self.door.let_in(self):
            self.cut(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self.door.gone(self)

    def data_received(self, data: bytes) -> None:
        """Receive bytes; those that belong to no request yet are limited."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stray = 0
            return
        self._stray += len(data)
        unread = cycle is not None and cycle.more_body
        if self._stray > (_UNREAD_BYTES if unread else _HEAD_BYTES):
            self.cut(b"" if unread else _TOO_LONG)

    def on_headers_complete(self) -> None:
        """Start the clock of a request."""
        super().on_headers_complete()
        self.cycle.__class__ = OneWrite

    def on_message_complete(self) -> None:
        """End a request, which may have been answered long before."""
        super().on_message_complete()
        if self.cycle.response_complete and not self.cycle.keep_alive:
            self.transport.close()

    def look(self, now: float) -> None:
        """Close the connection if it has been in one state for too long."""
        stage, patience_s, answer = self._doing()
        if stage != self.stage:
            self.stage, self.since = stage, now
        elif now - self.since > patience_s:
            self.cut(answer)

    def cut(self, answer: bytes = b"") -> None:
        """Close the connection, with an error answer if the client still reads."""
        if answer and not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
        else:
            self.transport.abort()

    def _doing(self) -> tuple[object, float, bytes]:
        """The connection's state, how many seconds it may last, and the error after that."""
        unsent = self.transport.get_write_buffer_size()
        if unsent:
            return ("reads", self.cycle, unsent), _READ_S, b""
        if self.transport.is_closing():
            return "closes", _READ_S, b""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return "sends its first headers", _HEAD_S, _TOO_SLOW
        if not cycle.response_complete or self.timeout_keep_alive_task is not None:
            return ("is served or idle", cycle), float("inf"), b""
        return ("sends headers", cycle), _HEAD_S, b"" if cycle.more_body else _TOO_SLOW


class _Door:
    """All connections of a worker."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_connections
        self._most_each = settings.max_connections_per_client
        self._inside: set[BoundedHttp] = set()
        self._each: Counter[str] = Counter()
        self._looking = False

    def let_in(self, connection: BoundedHttp) -> bool:
        address = _address(connection)
        if len(self._inside) >= self._most or self._each[address] >= self._most_each:
            return False
        self._inside.add(connection)
        self._each[address] += 1
        connection.since = connection.loop.time()
        if not self._looking:
            self._looking = True
            connection.loop.call_later(_LOOK_EVERY_S, self._look, connection.loop)
        return True

    def gone(self, connection: BoundedHttp) -> None:
        if connection in self._inside:
            self._inside.remove(connection)
            address = _address(connection)
            self._each[address] -= 1
            if not self._each[address]:
                del self._each[address]

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._inside):
            connection.look(now)
        self._looking = bool(self._inside)
        if self._looking:
            loop.call_later(_LOOK_EVERY_S, self._look, loop)


def _address(connection: BoundedHttp) -> str:
    return connection.client[0] if connection.client else ""
