"""The server of a deployment and its guests: ``python -m lifecycle.serving.supervisor FOLDER``.

It answers no requests itself: it holds the listener, runs the workers that do, and loads nothing that a model
brings along. Its only input is the files in the folder, and signals. After SIGTERM, the owner's end or the
loss of the folder it is not ready at once, answers for a moment longer, refuses new connections, finishes
what is in flight, and exits with 0. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

from lifecycle.errors import Conflict
from lifecycle.processes.process import ProcessId, watch_owner
from lifecycle.serving.control import Desired, Observed, Phase, read_desired, write_observed
from lifecycle.serving.follower import Follower
from lifecycle.serving.kept import clean_up
from lifecycle.serving.listener import address_of, listen
from lifecycle.serving.pool import Pool

_LOG = logging.getLogger(__name__)


class Supervisor:
    """Serves until a signal ends it."""

    def __init__(self, folder: Path, pool: Pool, follower: Follower) -> None:
        self._pool = pool
        self._folder = folder
        self._follower = follower
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Event()

    async def run(self) -> None:
        """Run until drained."""
        loop = asyncio.get_running_loop()
        ending = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
            ending.remove(signal.SIGHUP)
        for number in ending:
            loop.add_signal_handler(number, self._stop)

        def owner_gone() -> None:
            loop.call_soon_threadsafe(self._stopping.set)

        watch_owner(owner_gone)
        tending = asyncio.create_task(self._pool.tend())
        following = asyncio.create_task(self._follower.run())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({tending, following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for work in (tending, following):
                _tell_of(work)
            await self._end(following)
        finally:
            self._pool.kill()
            tending.cancel()

    async def _end(self, following: asyncio.Task[None]) -> None:
        following.cancel()
        await asyncio.wait({following})
        draining = asyncio.create_task(self._pool.drain())
        at_once = asyncio.create_task(self._at_once.wait())
        limit = self._pool.drain_limit_s
        await asyncio.wait({draining, at_once}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        at_once.cancel()

    def _stop(self) -> None:
        if self._stopping.is_set():
            self._at_once.set()
        self._stopping.set()


def _tell_of(work: asyncio.Task[None]) -> None:
    """End the server if its follower failed, for instance on a full disk: it must not seem to follow."""
    if work.done() and (error := work.exception()):
        _LOG.error("cannot go on", exc_info=error)


def serve(folder: Path) -> int:
    """Serve what the folder asks for; returns 1 when the address is not available."""
    desired, own = read_desired(folder), ProcessId.own()
    start = Observed(0, Phase.STARTING, own.pid, own.started)
    settings = desired.settings
    try:
        listener = listen(settings.host, settings.ports)
    except OSError as exc:
        write_observed(folder, _no_address(start, desired, exc))
        return 1
    clean_up(folder)
    start = replace(start, address=address_of(settings.host, listener, tls=bool(settings.tls_cert)))
    asyncio.run(_serve(folder, listener, start))
    return 0


async def _serve(folder: Path, listener: socket.socket, start: Observed) -> None:
    pool = Pool(listener, folder)
    await Supervisor(folder, pool, Follower(folder, pool, start)).run()


def _no_address(start: Observed, desired: Desired, exc: OSError) -> Observed:
    asked = f"{desired.settings.host}:{desired.settings.ports[-1]}"
    error = f"cannot listen on {asked}: {exc.strerror}; choose another with -C port="
    return replace(start, generation=desired.generation, phase=Phase.FAILED, code=Conflict.code, error=error)


def main(folder: Path) -> int:
    """Run as a process of its own; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return serve(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
