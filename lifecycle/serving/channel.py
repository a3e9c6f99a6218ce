"""What supervisor and worker say to each other: one JSON object a line, over a socket pair.

A channel that ends means that the process at its other end is gone, however it went.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any, Self

_LONGEST = 2**24  # bytes of one line: a plan names every model that is served

Message = dict[str, Any]
"""``do`` (to a worker) or ``say`` (from one), and what belongs to it."""


class Channel:
    """One end. Touched by the event loop's thread only."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Take over one end of a socket pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_unix_connection(sock=end, limit=_LONGEST))

    def send(self, **message: Any) -> None:
        """Say something; nobody hears it when the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end says, until it is gone."""
        try:
            while line := await self._reader.readline():
                yield json.loads(line)
        except (OSError, ValueError):  # cut in the middle of a line
            return

    async def flush(self) -> None:
        """Wait until everything is on its way."""
        try:
            await self._writer.drain()
        except OSError:
            return

    def close(self) -> None:
        """The other end will see that we are gone."""
        self._writer.close()
