"""One request in a queue."""

from __future__ import annotations

import asyncio
from time import perf_counter

from lifecycle.scoring.contract import Batch, Params, Predictions
from lifecycle.serving.message import NO_DEADLINE
from lifecycle.serving.refusal import too_late


class Waiting:
    """Rows that wait for their turn, and who waits for the answer.

    Attributes:
        answer: Done when there is one, when it is too late for one, or when its client has gone.
        taken: Whether it has left the queue for a place.
        alone: Whether it must not share a batch any more: one that it was in has failed.
        lost: Whether a process has ended over it before.
    """

    __slots__ = ("_timer", "alone", "answer", "batch", "deadline", "lost", "params", "rows", "taken")

    def __init__(
        self,
        batch: Batch,
        rows: int,
        params: Params | None,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.batch = batch
        self.rows = rows
        self.params = params
        self.deadline = deadline
        self.taken = self.alone = self.lost = False
        self.answer: asyncio.Future[Predictions] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        if deadline < NO_DEADLINE:
            self._timer = loop.call_later(deadline - perf_counter(), self._expire)

    def succeed(self, predictions: Predictions) -> None:
        """Here is the answer, if somebody still waits for it."""
        if not self.answer.done():
            self.answer.set_result(predictions)

    def fail(self, exc: Exception) -> None:
        """There will be none."""
        if not self.answer.done():
            self.answer.set_exception(exc)

    def _expire(self) -> None:
        self.fail(too_late())

    def settle(self) -> None:
        """Nobody waits any more, whatever the reason."""
        if self._timer is not None:
            self._timer.cancel()
        self.answer.cancel()
