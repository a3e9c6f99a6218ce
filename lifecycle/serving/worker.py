"""A worker process, which answers requests: ``python -m lifecycle.serving.worker CHANNEL LISTENER FOLDER``.

It takes orders from the supervisor over an inherited socket pair, and connections from a listener that
all workers share. A new version is loaded beside the one that answers, and replaces it between two
requests, in all workers at the same command.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from lifecycle.errors import DeploymentFailed, LifecycleError
from lifecycle.serving.application import Application
from lifecycle.serving.auth import make_access
from lifecycle.serving.channel import Channel, Message
from lifecycle.serving.engine import open_engine
from lifecycle.serving.observer import Observer
from lifecycle.serving.observing import make_observers
from lifecycle.serving.plan import Plan
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.server import Server
from lifecycle.serving.state import State

_LOG = logging.getLogger(__name__)
_BEAT_S = 1.0
_DEAD_MAN_S = 60
"""Seconds without a heartbeat after which the kernel kills the worker, even without a supervisor."""
_LAST_WORDS_S = 5


class Worker:
    """Follows the supervisor's orders.

    Args:
        folder: The host deployment's folder, for what observers keep.
    """

    def __init__(self, channel: Channel, listener: socket.socket, folder: Path) -> None:
        self._channel = channel
        self._listener = listener
        self._folder = folder
        self._state: State | None = None
        self._server: Server | None = None
        self._observers: Sequence[Observer] = ()
        self._prepared: tuple[Plan, dict[str, Release]] | None = None
        self._preparing = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._serves = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Run until drained, or until the supervisor has ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._drain, 0.0)
        for work in (self._beat(), self._take_orders()):
            self._start(work)
        await self._over.wait()
        for observer in self._observers:
            observer.close()
        for task in self._tasks:
            task.cancel()

    async def _take_orders(self) -> None:
        async for message in self._channel.messages():
            self._take(message)
        self._drain(0.0)

    def _take(self, message: Message) -> None:
        match message["do"]:
            case "prepare":
                plan = Plan.from_message(message["plan"])
                self._preparing = plan.round
                self._start(self._prepare(plan))
            case "commit":
                self._commit(message["round"])
            case "abandon":
                self._preparing = 0
                self._discard()
            case "drain":
                self._drain(message["lame_duck_s"])
            case "retire":
                self._retire()

    async def _prepare(self, plan: Plan) -> None:
        loaded: dict[str, Release] = {}
        try:
            state = self._build(plan)
            for name, desired in plan.wanted.items():
                now = state.releases.get(name)
                if now is None or not now.serves(desired):
                    loaded[name] = Release(desired, await open_engine(desired, state.measures))
        except Exception as exc:  # a model's libraries may raise anything
            _close(loaded)
            self._fail(plan, exc)
            return
        if self._preparing != plan.round:  # the plan is no longer wanted
            _close(loaded)
            return
        self._discard()
        self._prepared = plan, loaded
        self._channel.send(say="prepared", round=plan.round)

    def _build(self, plan: Plan) -> State:
        """Build everything but the models, before the first model is loaded."""
        if self._state is None or self._server is None:
            state = State(Releases(plan.host), plan.settings)
            access, self._observers = make_access(state), make_observers(state, self._folder)
            application = Application(state, routes_of(state), access, self._observers)
            self._server = Server(state, application, plan.settings)
            self._state = state
        return self._state

    def _commit(self, number: int) -> None:
        if self._prepared is None or self._prepared[0].round != number or self._state is None:
            return
        (plan, loaded), self._prepared = self._prepared, None
        state, releases = self._state, self._state.releases
        state.settings = plan.settings
        for release in loaded.values():
            releases.switch(release)
        for release in releases.all():
            if release.name not in plan.wanted:
                releases.drop(release.name)
        if not self._serves:
            self._begin()
        kinds = {release.name: release.engine.kind for release in releases.all()}
        self._channel.send(say="committed", round=number, kinds=kinds)

    def _begin(self) -> None:
        gc.collect()
        gc.freeze()  # loaded modules stay: garbage collections that scan them take milliseconds
        if self._server is not None:
            self._serves = True
            self._start(self._serve(self._server))

    def _fail(self, plan: Plan, error: Exception) -> None:
        if isinstance(error, LifecycleError):
            code, text = error.code, str(error)
        else:
            _LOG.error("round %d cannot be prepared", plan.round, exc_info=error)
            code, text = DeploymentFailed.code, f"the server cannot load it ({type(error).__name__}); see its log"
        self._channel.send(say="failed", round=plan.round, code=code, error=text)

    def _discard(self) -> None:
        if self._prepared is not None:
            _close(self._prepared[1])
            self._prepared = None

    def _drain(self, lame_duck_s: float) -> None:
        if self._server is not None and self._serves:
            self._server.drain(lame_duck_s)
        else:
            self._over.set()

    def _retire(self) -> None:
        if self._server is not None and self._serves:
            self._start(self._server.retire())
        else:
            self._over.set()

    async def _serve(self, server: Server) -> None:
        try:
            await server.run_on(self._listener)
        finally:
            self._over.set()

    async def _beat(self) -> None:
        while True:
            signal.alarm(_DEAD_MAN_S)
            self._channel.send(say="beat")
            await asyncio.sleep(_BEAT_S)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _close(releases: dict[str, Release]) -> None:
    for release in releases.values():
        release.retire()


async def _run(channel: socket.socket, listener: socket.socket, folder: Path) -> None:
    await Worker(await Channel.over(channel), listener, folder).run()


def main(channel: int, listener: int, folder: Path) -> None:
    """Answer requests until the supervisor ends it."""
    import uvloop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    signal.alarm(_DEAD_MAN_S)
    for inherited in (channel, listener):
        os.set_inheritable(inherited, False)  # not by a process that a model starts
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(socket.socket(fileno=channel), socket.socket(fileno=listener), folder))
        signal.alarm(_LAST_WORDS_S)  # a thread that is still loading must not delay the exit


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
