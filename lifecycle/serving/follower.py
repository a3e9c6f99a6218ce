"""Makes what is served equal to what is desired, and says how that went."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lifecycle.errors import Conflict, LifecycleError
from lifecycle.serving.control import (
    Desired,
    Observed,
    Phase,
    desired_stamp,
    read_desired,
    write_observed,
)
from lifecycle.serving.engine import open_engine
from lifecycle.serving.release import Release
from lifecycle.serving.state import State

_LOG = logging.getLogger(__name__)
_POLL_S = 0.1


class Follower:
    """The server's side of the control files.

    Args:
        start: What to say until the first version is up.
    """

    def __init__(self, folder: Path, state: State, start: Observed) -> None:
        self._folder = folder
        self._state = state
        self._start = start

    async def run(self, on_gone: Callable[[], None]) -> None:
        """Follow until the desired state disappears, then call ``on_gone``."""
        write_observed(self._folder, self._start)
        seen = None
        while (stamp := desired_stamp(self._folder)) is not None:
            if stamp != seen:
                await self._follow(read_desired(self._folder))
                seen = stamp
            await asyncio.sleep(_POLL_S)
        on_gone()

    async def _follow(self, desired: Desired) -> None:
        self._state.settings = desired.settings
        try:
            await self._serve(desired)
            outcome = self._outcome(desired, Phase.READY)
        except LifecycleError as exc:
            _LOG.error("version %d did not come up: %s", desired.version, exc)
            outcome = self._outcome(desired, Phase.FAILED, exc.code, str(exc))
        write_observed(self._folder, outcome)

    async def _serve(self, desired: Desired) -> None:
        release = self._state.releases.get(desired.deployment)
        if release is not None and release.serves(desired):
            return
        engine = await open_engine(desired)
        if read_desired(self._folder).generation != desired.generation:
            # Whoever asked has given up waiting and been told so: then it must not answer after all.
            engine.close()
            raise Conflict("something else was asked for while it was coming up")
        self._state.releases.switch(Release(desired, engine))
        _LOG.info("version %d of %s answers (%s)", desired.version, desired.model, engine.kind)

    def _outcome(self, desired: Desired, phase: Phase, code: str = "", error: str = "") -> Observed:
        outcome = replace(self._start, generation=desired.generation, phase=phase, code=code, error=error)
        release = self._state.releases.get(desired.deployment)
        if release is None:
            return outcome
        now = release.desired
        return replace(outcome, version=now.version, digest=now.digest, scorer=release.engine.kind)
