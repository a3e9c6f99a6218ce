"""One request in a queue."""

from __future__ import annotations

import asyncio
from time import perf_counter

from lifecycle.scoring.contract import Batch, Params, Predictions
from lifecycle.serving.message import NO_DEADLINE
from lifecycle.serving.refusal import too_late


class Waiting:
    """Rows in the queue, and the future of their answer.

    Attributes:
        answer: Future, done with the answer, after the deadline, or when the client has disconnected.
        taken: Whether it has left the queue for a place.
        alone: Whether it has to be scored alone, after a batch with it has failed.
        lost: Whether a process has ended while scoring it.
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
        """Set the predictions, if the client still waits."""
        if not self.answer.done():
            self.answer.set_result(predictions)

    def fail(self, exc: Exception) -> None:
        """Set an error, if the client still waits."""
        if not self.answer.done():
            self.answer.set_exception(exc)

    def _expire(self) -> None:
        self.fail(too_late())

    def settle(self) -> None:
        """Finish without an answer, as the client no longer waits."""
        if self._timer is not None:
            self._timer.cancel()
        self.answer.cancel()
