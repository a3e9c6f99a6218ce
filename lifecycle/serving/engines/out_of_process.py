"""A pyfunc model in processes of its own: a crash, hang or memory leak stays there."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from time import monotonic

from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError
from lifecycle.scoring.contract import Batch, Params, Predictions
from lifecycle.scoring.signature import Signature
from lifecycle.serving.engines.batcher import Batcher, Place
from lifecycle.serving.engines.bounds import Bounds
from lifecycle.serving.engines.cost import CostModel
from lifecycle.serving.engines.launch import Launch, memory_of_this_machine
from lifecycle.serving.engines.model_process import ModelProcess
from lifecycle.serving.measures import Measures
from lifecycle.serving.settings import Settings

_LOG = logging.getLogger(__name__)
_WINDOW_S = 60.0
_FREE = 3
"""So many ends within the window are replaced at once; after that each replacement waits twice as long."""
_SLOWEST_S = 30.0


class OutOfProcess:
    """The engine of a pyfunc release. Made by :func:`open_processes`.

    Attributes:
        lost: Number of processes that ended by themselves, or were killed because one batch took too long.
    """

    kind = "pyfunc"

    def __init__(self, snapshot: Snapshot, settings: Settings, measures: Measures) -> None:
        self.signature = Signature(())
        self.lost = 0
        self._settings = settings
        cores = len(os.sched_getaffinity(0))
        memory = int(settings.model_memory_mb * 2**20) or memory_of_this_machine()
        self._launch = Launch(snapshot, memory, max(1, cores // settings.workers))
        self._bounds = Bounds(CostModel(), settings, settings.workers)
        self._batcher = Batcher(self, self._bounds, measures)
        self._up: set[ModelProcess] = set()
        self._coming: set[ModelProcess] = set()
        self._free: deque[ModelProcess] = deque()
        self._ends: deque[float] = deque(maxlen=64)
        self._replacing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Start all processes: one first, because most errors occur in every process."""
        try:
            await self._add()
            async with asyncio.TaskGroup() as group:
                for _ in range(self._settings.workers - 1):
                    group.create_task(self._add())
        except BaseExceptionGroup as several:
            self.close()
            raise several.exceptions[0] from None
        except BaseException:
            self.close()
            raise

    def inline(self, batch: Batch, rows: int, params: Params | None) -> Predictions | None:
        """Always None: pyfunc models never score on the event loop."""
        return None

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """Score in the next free process, together with other waiting requests."""
        return await self._batcher.score(batch, rows, params, deadline)

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for task in self._replacing:
            task.cancel()
        for process in (*self._up, *self._coming):
            process.end()

    @property
    def alive(self) -> bool:
        """Whether any process is running."""
        return bool(self._up)

    @property
    def pids(self) -> list[int]:
        """Ids of the running processes."""
        return [process.pid for process in self._up]

    def take(self) -> Place | None:
        """A free process; None when all are busy."""
        return self._free.popleft() if self._free else None

    def give_back(self, place: Place) -> None:
        """Return a process after a batch."""
        if place in self._up and isinstance(place, ModelProcess):
            self._free.append(place)

    async def _add(self) -> None:
        process = ModelProcess(self._launch, self._settings.request_timeout_s, self._ended)
        self._coming.add(process)
        try:
            self.signature, measured = await process.come_up()
        finally:
            self._coming.discard(process)
        for rows, seconds in measured:
            self._bounds.measured(rows, seconds)
        self._up.add(process)
        self._free.append(process)
        self._batcher.turn()

    def _ended(self, process: ModelProcess) -> None:
        if process not in self._up:  # it never came up, and its starter receives the error
            return
        self._up.remove(process)
        if process in self._free:
            self._free.remove(process)
        if self._closed:
            return
        self.lost += 1
        _LOG.error("process %d of the model has ended; %d left", process.pid, len(self._up))
        self._batcher.turn()
        task = asyncio.get_running_loop().create_task(self._replace())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self) -> None:
        while not self._closed:
            self._ends.append(monotonic())
            await asyncio.sleep(self._pause())
            try:
                await self._add()
                break
            except LifecycleError as exc:
                _LOG.error("the model does not come up again: %s", exc)

    def _pause(self) -> float:
        """Wait before a restart, so that a model that keeps ending does not keep the machine busy."""
        recent = sum(monotonic() - end < _WINDOW_S for end in self._ends)
        return 0.0 if recent <= _FREE else min(_SLOWEST_S, 2.0 ** (recent - _FREE - 1))


async def open_processes(snapshot: Snapshot, settings: Settings, measures: Measures) -> OutOfProcess:
    """Load a version in ``settings.workers`` processes.

    Raises:
        IntegrityError: the files do not match the digest.
        DeploymentFailed: the model does not load, or cannot score its example.
    """
    engine = OutOfProcess(snapshot, settings, measures)
    await engine.open()
    return engine
