"""Messages between supervisor and worker: one JSON object per line over a socket pair.

When a channel ends, the process at its other end has ended, for whatever reason.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Self

_LONGEST = 2**24  # bytes of one line: a plan names every served model

Message = dict[str, Any]
"""``do`` (to a worker) or ``say`` (from one), and its fields."""


class Channel:
    """One end of a channel. Used by the event loop's thread only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Open a channel over one end of a socket pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LONGEST))

    def send(self, **message: Any) -> None:
        """Send a message; it is lost when the other end has closed."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """The other end's messages, until it closes."""
        try:
            while line := await self._reader.readline():
                yield json.loads(line)
        except (OSError, ValueError):  # cut in the middle of a line
            return

    async def flush(self) -> None:
        """Wait until all messages are sent."""
        try:
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        """Close this end; the other end sees that."""
        self._writer.close()
