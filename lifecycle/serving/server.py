"""The server process of one deployment: ``python -m lifecycle.serving.server FOLDER``.

It takes no other input than the files in the folder and signals. SIGTERM, the owner's end or the loss of the
folder: not ready at once, still answering for a moment, then no new connections, what is in flight is
finished, exit 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

import uvicorn

from lifecycle.errors import Conflict
from lifecycle.processes.identity import ProcessId
from lifecycle.processes.owner import watch_owner
from lifecycle.serving.application import Application
from lifecycle.serving.auth import make_access
from lifecycle.serving.control import Desired, Observed, Phase, read_desired, write_observed
from lifecycle.serving.follower import Follower
from lifecycle.serving.observing import make_observers
from lifecycle.serving.release import Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.state import State

DRAIN_S = 20
"""How long requests in flight may take to finish."""
_LAME_DUCK_S = 0.3
_BACKLOG = 512


class Server(uvicorn.Server):
    """Uvicorn with a way to end that loses nothing: its own closes the door before anybody knows."""

    def __init__(self, state: State, folder: Path) -> None:
        config = uvicorn.Config(
            Application(state, routes_of(state), make_access(state.settings), make_observers(state, folder)),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S,
        )
        super().__init__(config)
        self._state = state

    def run_with(self, listener: socket.socket, follower: Follower) -> None:
        """Serve and follow until drained."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self._serve_and_follow(listener, follower))

    def drain(self) -> None:
        """Begin to end."""
        if not self._state.draining:
            self._state.draining = True
            self._loop.call_later(_LAME_DUCK_S, self._close)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has arrived."""
        del sig, frame
        self.force_exit = self.should_exit = self._state.draining
        self._drain_soon()

    async def _serve_and_follow(self, listener: socket.socket, follower: Follower) -> None:
        self._loop = asyncio.get_running_loop()
        watch_owner(self._drain_soon)
        following = asyncio.create_task(follower.run(self.drain))
        following.add_done_callback(self._end_if_broken)
        await self.serve([listener])
        following.cancel()

    def _end_if_broken(self, following: asyncio.Task[None]) -> None:
        """A server that no longer follows (its disk is full, say) must not look as if it did."""
        if not following.cancelled() and (error := following.exception()):
            logging.getLogger(__name__).error("cannot follow the deployment any more", exc_info=error)
            self.drain()

    def _drain_soon(self) -> None:
        """From a signal handler or another thread."""
        self._loop.call_soon_threadsafe(self.drain)

    def _close(self) -> None:
        self.should_exit = True


def main(folder: Path) -> int:
    """Serve until told to stop; 1 when the address cannot be had."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    desired, own = read_desired(folder), ProcessId.own()
    start = Observed(0, Phase.STARTING, own.pid, own.started)
    try:
        listener = _listen(desired.settings.host, desired.settings.ports)
    except OSError as exc:
        write_observed(folder, _no_address(start, desired, exc))
        return 1
    state = State(Releases(desired.deployment), desired.settings)
    follower = Follower(folder, state, replace(start, address=_address(desired.settings.host, listener)))
    Server(state, folder).run_with(listener, follower)
    return 0


def _listen(host: str, ports: Sequence[int]) -> socket.socket:
    """On the first port that can be had. Raises OSError when none can."""
    for port in ports[:-1]:
        with suppress(OSError):
            return _listen_on(host, port)
    return _listen_on(host, ports[-1])


def _listen_on(host: str, port: int) -> socket.socket:
    """Listening, not only bound: two sockets may be bound to one port as long as neither listens."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    # A successor may have the port at once, while connections of its predecessor still linger.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


def _address(host: str, listener: socket.socket) -> str:
    """A URL that works on this machine, also where the server listens on every interface."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    port = listener.getsockname()[1]
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _no_address(start: Observed, desired: Desired, exc: OSError) -> Observed:
    asked = f"{desired.settings.host}:{desired.settings.ports[-1]}"
    error = f"cannot listen on {asked}: {exc.strerror}; choose another with -C port="
    return replace(start, generation=desired.generation, phase=Phase.FAILED, code=Conflict.code, error=error)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
