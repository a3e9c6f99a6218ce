"""Limits of queue and batch size, derived from the measured cost of scoring."""

from __future__ import annotations

from math import ceil
from time import perf_counter

from lifecycle.serving.engines.cost import CostModel
from lifecycle.serving.refusal import Refusal, too_late
from lifecycle.serving.settings import Settings

_SHARE = 10
"""Most cost of a batch, as a multiple of its fixed cost: then that is at most a tenth of the time. Larger
batches would gain little and delay other requests."""
_SHORTEST_S, _LONGEST_S = 0.01, 0.25
_GROWTH = 2
"""Most growth over the largest batch so far: beyond it the cost is a guess."""
_FRESH_S = 10.0
"""Seconds after which a cost may be outdated, so a request is tried even if it looks too late."""
_CERTAIN = 0.8
"""Share of the expected time that has to be left for a request to be scored."""


class Bounds:
    """Limits of one engine.

    Args:
        places: Number of batches that are scored at once.

    Attributes:
        requests_of_a_batch: Most requests of one batch. As many should be waiting when a batch ends:
            if one batch could hold all admitted requests, the next would start with the first arrival alone.
        apart: Whether requests are scored alone, since the model does not give one prediction per row.
    """

    def __init__(self, cost: CostModel, settings: Settings, places: int) -> None:
        self._cost = cost
        self._places = places
        self._most_rows = settings.max_queue_rows
        self._latency_s = settings.batch_latency_ms / 1000
        self._measured = self._busy_until = 0.0
        self.requests_of_a_batch = max(1, settings.max_in_flight // (places + 1))
        self.apart = False

    def begun(self, rows: int) -> None:
        """Record that an execution of so many rows begins."""
        self._busy_until = perf_counter() + self._cost.seconds(rows)

    def measured(self, rows: int, seconds: float) -> None:
        """Record that an execution took so long."""
        self._measured = perf_counter()
        if rows:
            self._cost.add(rows, seconds)

    def rows_of_a_batch(self) -> int:
        """Most rows of one batch; a single request may have more."""
        if self.apart:
            return 0
        seconds = self._latency_s or min(max((1 + _SHARE) * self._cost.fixed_s, _SHORTEST_S), _LONGEST_S)
        return min(_GROWTH * self._cost.largest, self._cost.rows_within(seconds))

    def hopeless(self, rows: int, deadline: float, now: float) -> bool:
        """Whether scoring would certainly end too late. Rows beyond the measured ones do not count."""
        fresh, known = now - self._measured < _FRESH_S, min(rows, _GROWTH * self._cost.reach)
        return fresh and now + _CERTAIN * self._cost.seconds(known) > deadline

    def demand_room(self, rows: int, waiting: int, deadline: float, now: float) -> None:
        """Raise Refusal 429 when too much waits already, 504 when even scoring it alone would be too late."""
        if deadline <= now or self.hopeless(rows, deadline, now):
            raise too_late()
        running_s = max(0.0, self._busy_until - now)
        wait_s = (running_s + (self._cost.seconds(waiting) if waiting else 0.0)) / self._places
        if (waiting and waiting + rows > self._most_rows) or self.hopeless(rows, deadline, now + wait_s):
            raise Refusal(429, "too much is waiting already; try again", retry_after=max(1, ceil(wait_s)))
