"""Micro-batching without waiting: requests that arrive while one batch is scored form the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

from lifecycle.scoring.contract import Batch, Params, Predictions
from lifecycle.serving.engines.bounds import Bounds
from lifecycle.serving.engines.merge import NotByRow, concatenate, fit_together, split
from lifecycle.serving.engines.waiting import Waiting
from lifecycle.serving.measures import ABANDONED, EXPIRED, Measures
from lifecycle.serving.refusal import Refusal, too_late


class Lost(Exception):
    """The process that was scoring has ended. The rows can be scored again: scoring changes nothing."""


class Place(Protocol):
    """Scores one batch at a time."""

    async def run(self, batch: Batch, params: Params | None) -> tuple[Predictions, float]:
        """Score a batch.

        Returns:
            The predictions, and the seconds that they took.

        Raises:
            Lost: the process ended, or was killed, while scoring.
            Exception: raised by the model.
        """
        ...


class Places(Protocol):
    """All places of one engine."""

    @property
    def alive(self) -> bool:
        """Whether there is any place, free or not."""
        ...

    def take(self) -> Place | None:
        """A free place, the caller's until it is given back; None when all are busy."""
        ...

    def give_back(self, place: Place) -> None:
        """Return a place after a batch, however that ended."""
        ...


class Batcher:
    """The queue before the places. Used by the event loop's thread only.

    Attributes:
        retried: Number of requests that were scored again alone after their batch had failed.
    """

    def __init__(self, places: Places, bounds: Bounds, measures: Measures) -> None:
        self.retried = 0
        self._places = places
        self._bounds = bounds
        self._measures = measures
        self._queue: deque[Waiting] = deque()
        self._rows = 0
        self._turning = False
        self._batches: set[asyncio.Task[None]] = set()  # the event loop holds tasks only weakly

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """Wait for a turn and score, as :meth:`lifecycle.serving.engine.Engine.score` says."""
        if not self._places.alive:
            raise no_process()
        self._bounds.demand_room(rows, self._rows, deadline, perf_counter())
        loop = asyncio.get_running_loop()
        entry = Waiting(batch, rows, params, deadline, loop)
        self._enter(entry, self._queue.append)
        self.turn()
        try:
            return await entry.answer
        finally:
            if not entry.taken:
                self._leave(entry)
                self._count_dropped(entry)
            entry.settle()

    def turn(self) -> None:
        """Start the batches that can start, once everything that has arrived is in the queue."""
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._start)

    def _enter(self, entry: Waiting, put: Callable[[Waiting], None]) -> None:
        put(entry)
        entry.taken = False
        self._rows += entry.rows
        self._measures.queued_requests += 1
        self._measures.queued_rows += entry.rows

    def _leave(self, entry: Waiting) -> None:
        self._queue.remove(entry)
        self._rows -= entry.rows
        self._measures.queued_requests -= 1
        self._measures.queued_rows -= entry.rows

    def _count_dropped(self, entry: Waiting) -> None:
        if entry.answer.cancelled():
            self._measures.dropped(ABANDONED)
        elif isinstance(why := entry.answer.exception(), Refusal) and why.status == 504:
            self._measures.dropped(EXPIRED)

    def _start(self) -> None:
        self._turning = False
        if not self._places.alive:
            for entry in self._queue:
                entry.fail(no_process())
            return
        for _ in range(len(self._queue)):
            place = self._places.take()
            if place is None:
                return
            task = asyncio.get_running_loop().create_task(self._fill(place))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    def _next(self, now: float) -> list[Waiting]:
        """The next batch in order of arrival, without requests whose clients no longer wait."""
        entries: list[Waiting] = []
        rows, most = 0, self._bounds.rows_of_a_batch()
        for entry in self._queue:
            if entry.answer.done():  # it leaves the queue when its task starts
                continue
            if entry.deadline <= now or self._bounds.hopeless(entry.rows, entry.deadline, now):
                entry.fail(too_late())
                continue
            if entries:
                full = rows + entry.rows > most or len(entries) == self._bounds.requests_of_a_batch
                if full or entries[0].alone:
                    break
                if entry.alone or not _together(entries[0], entry):
                    continue
            entries.append(entry)
            rows += entry.rows
        for entry in entries:
            entry.taken = True
            self._leave(entry)
        return entries

    async def _fill(self, place: Place) -> None:
        # checked again here: other work may have run since, and some requests may have expired
        entries = self._next(perf_counter())
        if entries:
            await self._run(place, entries)
        else:
            self._places.give_back(place)

    async def _run(self, place: Place, entries: list[Waiting]) -> None:
        rows = [entry.rows for entry in entries]
        self._measures.batched(sum(rows))
        self._bounds.begun(sum(rows))
        try:
            batch = entries[0].batch if len(entries) == 1 else concatenate([entry.batch for entry in entries])
            predictions, seconds = await place.run(batch, entries[0].params)
            self._bounds.measured(sum(rows), seconds)
            parts = [predictions] if len(entries) == 1 else list(split(predictions, rows))
        except NotByRow as exc:
            self._bounds.apart = True
            self._failed(entries, exc)
        except Exception as exc:  # a model's libraries may raise anything
            self._failed(entries, exc)
        else:
            for entry, part in zip(entries, parts, strict=True):
                entry.succeed(part)
        finally:
            self._places.give_back(place)
            self.turn()

    def _failed(self, entries: list[Waiting], exc: Exception) -> None:
        """Score each request of a failed batch again alone, so that one bad request does not fail the others."""
        lost = isinstance(exc, Lost)
        again = []
        for entry in entries:
            if lost and entry.lost:
                entry.fail(no_process())
            elif lost or len(entries) > 1:
                entry.lost, entry.alone = entry.lost or lost, True
                again.append(entry)
            else:
                entry.fail(exc)
        for entry in reversed(again):
            if not entry.answer.done():
                self.retried += 1
                self._enter(entry, self._queue.appendleft)


def _together(one: Waiting, other: Waiting) -> bool:
    return _same(one.params, other.params) and fit_together(one.batch, other.batch)


def _same(one: Params | None, other: Params | None) -> bool:
    if one is None or other is None:
        return one is other
    try:
        return bool(one == other)
    except ValueError:  # arrays may be among them; scoring requests apart is never wrong
        return False


def no_process() -> Refusal:
    """Refusal while the model's processes are being replaced."""
    return Refusal(503, "the model's process has ended and is being replaced; try again", retry_after=2)
