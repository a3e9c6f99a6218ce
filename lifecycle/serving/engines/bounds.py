"""How much may wait, and how much is scored together: decided by what scoring has been seen to cost."""

from __future__ import annotations

from math import ceil
from time import perf_counter

from lifecycle.serving.engines.cost import CostModel
from lifecycle.serving.refusal import Refusal, too_late
from lifecycle.serving.settings import Settings

_SHARE = 10
"""A batch may cost this many times its fixed cost: then at most a tenth of the time goes into that, and larger
batches would gain little and keep others waiting."""
_SHORTEST_S, _LONGEST_S = 0.01, 0.25
_GROWTH = 2
"""A batch may be this many times larger than the largest so far: what lies beyond is a guess."""
_FRESH_S = 10.0
"""A cost this old may have changed: then a request is tried although it looks hopeless."""
_CERTAIN = 0.8
"""Share of the expected time that must be left for a request not to be given up."""


class Bounds:
    """Of one engine.

    Args:
        places: How many batches are scored at once.

    Attributes:
        requests_of_a_batch: How many to put together at most. As many as that should be waiting when a batch ends:
            if one could hold all requests that are let in, the next would begin with whoever comes first, alone.
        apart: Whether each request must be scored alone, since the model does not answer row by row.
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
        """An execution of so many rows begins."""
        self._busy_until = perf_counter() + self._cost.seconds(rows)

    def measured(self, rows: int, seconds: float) -> None:
        """An execution took that long."""
        self._measured = perf_counter()
        if rows:
            self._cost.add(rows, seconds)

    def rows_of_a_batch(self) -> int:
        """How many rows to put together at most; one request alone may have more."""
        if self.apart:
            return 0
        seconds = self._latency_s or min(max((1 + _SHARE) * self._cost.fixed_s, _SHORTEST_S), _LONGEST_S)
        return min(_GROWTH * self._cost.largest, self._cost.rows_within(seconds))

    def hopeless(self, rows: int, deadline: float, now: float) -> bool:
        """Whether scoring would certainly end after the deadline."""
        fresh = now - self._measured < _FRESH_S
        return fresh and now + _CERTAIN * self._cost.seconds(rows) > deadline

    def demand_room(self, rows: int, waiting: int, deadline: float, now: float) -> None:
        """Raises Refusal 429 when too much waits already, 504 when there is no time even to score it alone."""
        if deadline <= now or self.hopeless(rows, deadline, now):
            raise too_late()
        running_s = max(0.0, self._busy_until - now)
        wait_s = (running_s + (self._cost.seconds(waiting) if waiting else 0.0)) / self._places
        if (waiting and waiting + rows > self._most_rows) or self.hopeless(rows, deadline, now + wait_s):
            raise Refusal(429, "too much is waiting already; try again", retry_after=max(1, ceil(wait_s)))
