"""Makes a server serve what the control files ask for, and reports the result."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

from lifecycle.errors import DeploymentFailed, LifecycleError
from lifecycle.serving.control import (
    Desired,
    Observed,
    Phase,
    desired_stamp,
    forget_observed,
    guests_of,
    read_desired,
    write_observed,
)
from lifecycle.serving.plan import Plan
from lifecycle.serving.pool import Pool
from lifecycle.serving.swap import Swap
from lifecycle.serving.trial import try_out

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1
_Stamp = tuple[int, int]


class Follower:
    """The supervisor's side of the control files: the host's own, and its guests'.

    Args:
        start: What to report until a version answers.
    """

    def __init__(self, folder: Path, pool: Pool, start: Observed) -> None:
        self._folder = folder
        self._pool = pool
        self._start = start
        self._host = read_desired(folder).deployment
        self._seen: dict[str, _Stamp] = {}
        self._outcomes: dict[str, Observed] = {}
        self._round = 0
        self._trouble = ""

    async def run(self) -> None:
        """Follow until the host's desired state disappears."""
        write_observed(self._folder, self._start)
        while (stamp := desired_stamp(self._folder)) is not None:
            await self._look(self._host, stamp)
            if self._pool.plan is not None:
                await self._look_at_guests(self._pool.plan)
            self._tell_of_trouble()
            await asyncio.sleep(_POLL_S)

    async def _look_at_guests(self, plan: Plan) -> None:
        stamps = {name: desired_stamp(self._folder_of(name)) for name in guests_of(self._folder)}
        for name, stamp in stamps.items():
            if stamp is not None:
                await self._look(name, stamp)
        for name in plan.wanted.keys() | self._outcomes.keys():
            if name != self._host and stamps.get(name) is None:
                await self._drop(name)

    async def _look(self, name: str, stamp: _Stamp) -> None:
        if self._seen.get(name) == stamp:
            return
        folder = self._folder_of(name)
        with suppress(FileNotFoundError):
            desired = read_desired(folder)
            self._seen[name] = stamp
            await self._follow(folder, desired, stamp)

    async def _follow(self, folder: Path, desired: Desired, stamp: _Stamp) -> None:
        outcome = replace(self._start, generation=desired.generation, phase=Phase.READY)
        try:
            await self._serve(desired, lambda: desired_stamp(folder) == stamp)
        except LifecycleError as exc:
            _LOG.error("version %d of %s did not come up: %s", desired.version, desired.model, exc)
            outcome = replace(outcome, phase=Phase.FAILED, code=exc.code, error=str(exc))
        self._outcomes[desired.deployment] = outcome
        self._write(desired.deployment)

    async def _serve(self, desired: Desired, still_wanted: Callable[[], bool]) -> None:
        now, plan = self._pool.plan, self._with(desired)
        if now is not None and plan.same(now):
            return
        deadline = monotonic() + desired.timeout_s
        if now is not None and _is_new(desired, now):
            await try_out(desired, still_wanted, deadline)
        await Swap(self._pool, plan, still_wanted, deadline).run()
        _LOG.info("version %d of %s answers as %s", desired.version, desired.model, desired.deployment)

    async def _drop(self, name: str) -> None:
        """Drop a guest, and report it once no worker serves it any more."""
        plan = self._pool.plan
        if plan is not None and name in plan.wanted:
            self._round += 1
            try:
                await Swap(self._pool, plan.without(self._round, name), lambda: True, float("inf")).run()
            except LifecycleError as exc:  # the next round tries again
                _LOG.error("%s is still served: %s", name, exc)
                return
            _LOG.info("%s is not served any more", name)
        self._seen.pop(name, None)
        self._outcomes.pop(name, None)
        forget_observed(self._folder_of(name))

    def _with(self, desired: Desired) -> Plan:
        self._round += 1
        if self._pool.plan is None:
            return Plan(self._round, self._host, {self._host: desired})
        return self._pool.plan.changed(self._round, desired)

    def _tell_of_trouble(self) -> None:
        """Log when dead workers are no longer replaced, and when they are again."""
        if self._pool.trouble != self._trouble:
            self._trouble = self._pool.trouble
            for name in self._outcomes:
                self._write(name)

    def _write(self, name: str) -> None:
        observed, plan = self._outcomes[name], self._pool.plan
        if self._trouble:
            observed = replace(observed, phase=Phase.FAILED, code=DeploymentFailed.code, error=self._trouble)
        answering = self._pool.answering
        if plan is not None and name in plan.wanted and answering:
            now = plan.wanted[name]
            kind = next((m.kinds[name] for m in answering if name in m.kinds), "")
            observed = replace(observed, version=now.version, digest=now.digest, scorer=kind)
        with suppress(FileNotFoundError):  # it has just been taken down
            write_observed(self._folder_of(name), observed)

    def _folder_of(self, name: str) -> Path:
        return self._folder if name == self._host else self._folder.parent / name


def _is_new(desired: Desired, plan: Plan) -> bool:
    """Whether the desired files differ from those that are served."""
    now = plan.wanted.get(desired.deployment)
    return now is None or (now.digest, now.compiled, now.snapshot) != (
        desired.digest,
        desired.compiled,
        desired.snapshot,
    )
