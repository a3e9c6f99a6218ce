"""The web server inside a worker: uvicorn, with two ways to end that lose no request."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType

import uvicorn

from lifecycle.serving.application import Application
from lifecycle.serving.auth.renewal import renewed_in_place
from lifecycle.serving.auth.tls import ssl_options
from lifecycle.serving.http_protocol import http_protocol
from lifecycle.serving.listener import BACKLOG
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

_CLOSE = (b"connection", b"close")
_KEEP_ALIVE_S = 5
_POLL_S = 0.05


class Server(uvicorn.Server):
    """uvicorn with graceful ends; its own shutdown drops connections on which a request may be arriving.

    Raises:
        OSError, ssl.SSLError: a TLS file cannot be read.
    """

    def __init__(self, state: State, application: Application, settings: Settings) -> None:
        config = uvicorn.Config(
            application,
            http=http_protocol(settings),
            ws="none",
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # otherwise any client on this machine could claim another address
            backlog=BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            **ssl_options(settings),
        )
        super().__init__(config)
        config.load()
        self._state = state

    async def run_on(self, listener: socket.socket) -> None:
        """Serve until drained or retired."""
        with renewed_in_place(self.config.ssl, self._state.settings):
            await self.serve([listener])

    def drain(self, lame_duck_s: float) -> None:
        """End: not ready at once, no new connections after a moment, requests in flight are finished."""
        if not self._state.draining:
            self._state.draining = True
            asyncio.get_running_loop().call_later(lame_duck_s, self._end)

    async def retire(self) -> None:
        """Hand over to other workers: still ready, but clients are asked to connect anew.

        Idle connections are closed by their keep-alive time only, as usual: closing them at once
        could lose requests that are arriving.
        """
        for server in self.servers:
            server.close()
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
        while self.server_state.connections and not self.should_exit:
            await asyncio.sleep(_POLL_S)
        self._end()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ignore signals, which the worker handles."""

    def _end(self) -> None:
        # requests in flight are cut when the time is over; the supervisor kills a worker that hangs even then
        self.config.timeout_graceful_shutdown = max(1, round(self._state.settings.drain_s))
        self.should_exit = True
