"""The workers of one server: starts them, makes them follow the plan, and replaces dead and stuck ones."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from lifecycle.serving.breaker import PAUSE_S, Breaker
from lifecycle.serving.member import Member, start_member
from lifecycle.serving.plan import Plan

_LOG = logging.getLogger(__name__)
_TICK_S = 0.1
_LAME_DUCK_S = 0.3
_IDLE_S = 6.0  # longer than an idle connection is kept open
_KILL_AFTER_S = 3.0  # uvicorn cuts requests that are in flight when this time is over


class Pool:
    """The worker processes of one server. Used by the event loop's thread only.

    Attributes:
        plan: The plan that all workers follow; None until the first one has been prepared.
        members: All living workers, those that are ending included.
        deaths: Number of workers that ended unexpectedly.
    """

    def __init__(self, listener: socket.socket, folder: Path) -> None:
        self.plan: Plan | None = None
        self.members: list[Member] = []
        self.deaths = 0
        self._listener = listener
        self._folder = folder
        self._breaker = Breaker()
        self._last_end = ""
        self._changed = asyncio.Event()
        self._ears: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def standing(self) -> list[Member]:
        """The workers that are meant to stay."""
        return [member for member in self.members if not member.leaving]

    @property
    def answering(self) -> list[Member]:
        """The staying workers that have been asked to answer requests."""
        return [member for member in self.standing if member.told]

    @property
    def trouble(self) -> str:
        """Why dead workers are not replaced now; empty when they are."""
        if not self._breaker.open:
            return ""
        return (
            f"worker processes end again and again (the last one {self._last_end}); "
            f"the next try is in {PAUSE_S:g} s; see the server's log"
        )

    async def start(self) -> Member:
        """Start one more worker, which serves nothing until it is asked to."""
        member = await start_member(self._listener, self._folder)
        self.members.append(member)
        ear = asyncio.create_task(self._listen_to(member))
        self._ears.add(ear)
        ear.add_done_callback(self._ears.discard)
        return member

    def follow(self, plan: Plan) -> None:
        """Make ``plan`` the plan of all workers from now on."""
        self.plan = plan
        self._breaker.reset()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition is true; it is checked after every event here and at intervals."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def tend(self) -> None:
        """Replace dead workers and kill stuck ones, until cancelled."""
        while True:
            now = monotonic()
            for member in self.members:
                if member.stuck(now):
                    _LOG.error("worker %d does not respond; it is killed", member.process.pid)
                    member.kill()
            await self._fill_up(now)
            self._changed.set()
            await asyncio.sleep(_TICK_S)

    def retire(self, members: list[Member]) -> None:
        """Ask these workers to hand over to others."""
        for member in members:
            member.retire(self._gone_by() + _IDLE_S)

    async def drain(self) -> None:
        """End all workers without losing a request in flight."""
        self._closing = True
        self._listener.close()
        for member in self.members:
            member.drain(_LAME_DUCK_S, self._gone_by())
        await self.until(lambda: not self.members)

    @property
    def drain_limit_s(self) -> float:
        """Seconds after which a worker that was asked to end is killed."""
        drain_s = self.plan.settings.drain_s if self.plan is not None else 0.0
        return _LAME_DUCK_S + max(1.0, drain_s) + _KILL_AFTER_S

    def kill(self) -> None:
        """Kill all workers at once."""
        self._closing = True
        for member in self.members:
            member.kill()
            member.process.wait()

    async def _fill_up(self, now: float) -> None:
        if self.plan is None or self._closing:
            return
        while len(self.standing) < self.plan.size and self._breaker.may_start(now):
            try:
                member = await self.start()
            except OSError as exc:
                _LOG.error("cannot start a worker: %s", exc.strerror)
                self._breaker.ended(now, answered=False)
                return
            member.prepare(self.plan)

    async def _listen_to(self, member: Member) -> None:
        async for message in member.channel.messages():
            member.hear(message)
            self._advance(member)
            self._changed.set()
        self._ended(member)
        self._changed.set()

    def _advance(self, member: Member) -> None:
        """Let a new worker answer once it has loaded the current plan, which may have changed meanwhile."""
        plan = self.plan
        if plan is None or member.leaving:
            return
        if member.committed == plan.round:
            self._breaker.answers()
        if member.told:
            return
        if member.prepared == plan.round:
            member.commit(plan.round)
        elif member.prepared and member.prepared == member.asked < plan.round:
            member.prepare(plan)
        elif member.failed[0] == plan.round:
            _LOG.error("worker %d cannot serve the plan: %s", member.process.pid, member.failed[2])
            member.kill()

    def _ended(self, member: Member) -> None:
        self.members.remove(member)
        member.channel.close()
        member.kill()
        how = member.how_it_ended()
        if member.leaving or self._closing:
            return
        _LOG.error("worker %d %s", member.process.pid, how)
        self.deaths += 1
        self._last_end = how
        self._breaker.ended(monotonic(), answered=bool(member.committed))

    def _gone_by(self) -> float:
        return monotonic() + self.drain_limit_s
