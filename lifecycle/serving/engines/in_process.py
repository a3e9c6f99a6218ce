"""A scorer in the server's process: cheap batches on the event loop, expensive ones in a thread."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer
from lifecycle.serving.engines.batcher import Batcher, Place
from lifecycle.serving.engines.bounds import Bounds
from lifecycle.serving.engines.cost import CostModel
from lifecycle.serving.measures import Measures
from lifecycle.serving.settings import Settings

_INLINE_S = 0.001
"""Seconds. A shorter batch is done before a thread would pay off; a longer one would delay other requests."""
_LOOK_EVERY = 16
"""One of so many inline executions is measured; a slow one is always recorded."""

_SWITCH_S = 0.0005
"""Python's thread switch interval in seconds; its default of 5 ms is as long as many a batch takes."""


class InProcess:
    """A scorer that releases the interpreter lock while it computes, as ONNX Runtime does.

    Attributes:
        alive: Always true: it lives as long as the server.

    Args:
        measures: Counters for batches and the queue.
    """

    alive = True

    def __init__(self, scorer: Scorer, settings: Settings | None = None, measures: Measures | None = None) -> None:
        settings = settings or Settings()
        self.signature = scorer.signature
        self.kind = scorer.kind
        self._scorer = scorer
        self._predict = scorer.predict
        self._cost = CostModel()
        self._measures = measures or Measures()
        self._threads = _Threads(scorer, _spare_cores(settings.workers))
        self._batcher = Batcher(self._threads, Bounds(self._cost, settings, self._threads.most), self._measures)
        self._until_look = 0
        self._inline_rows = -1  # a cost that is not known yet is not tried here

    def inline(self, batch: Batch, rows: int, params: Params | None) -> Predictions | None:
        """Score at once if less than a millisecond is expected; else return None."""
        if rows > self._inline_rows:
            return None
        started = perf_counter()
        predictions = self._predict(batch, params)
        seconds = perf_counter() - started
        self._measures.batched(rows)
        self._until_look -= 1
        if self._until_look < 0 or seconds > _INLINE_S:
            self._look(rows, seconds)
        return predictions

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """Score in a thread, together with other waiting requests."""
        try:
            return await self._batcher.score(batch, rows, params, deadline)
        finally:
            self._decide()

    def close(self) -> None:
        """Release the model."""
        self._scorer.close()
        self._threads.close()

    def measured(self, rows: int, seconds: float) -> None:
        """Record that an execution of so many rows took so long."""
        if rows:
            self._cost.add(rows, seconds)
        self._decide()

    def _look(self, rows: int, seconds: float) -> None:
        self._until_look = _LOOK_EVERY - 1
        self.measured(rows, seconds)

    def _decide(self) -> None:
        """Set the most rows for inline scoring, at most twice the largest measured batch."""
        self._inline_rows = min(self._cost.rows_within(_INLINE_S), 2 * self._cost.largest)


def _spare_cores(workers: int) -> int:
    """Cores per worker beyond the one for parsing and answering; at least 1."""
    return max(1, len(os.sched_getaffinity(0)) // workers - 1)


class _Threads:
    """The places for batches: one thread for each core that is not busy with requests."""

    alive = True

    def __init__(self, scorer: Scorer, most: int) -> None:
        self.most = most
        self._scorer = scorer
        self._busy = 0
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="score")
        sys.setswitchinterval(_SWITCH_S)

    def take(self) -> Place | None:
        if self._busy == self.most:
            return None
        self._busy += 1
        return self

    def give_back(self, place: Place) -> None:
        self._busy -= 1

    async def run(self, batch: Batch, params: Params | None) -> tuple[Predictions, float]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._timed, batch, params)

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _timed(self, batch: Batch, params: Params | None) -> tuple[Predictions, float]:
        started = perf_counter()
        return self._scorer.predict(batch, params), perf_counter() - started
