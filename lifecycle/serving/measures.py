"""Counters of one worker that only the engines can fill: batches, the queue, dropped requests.

An engine calls :meth:`Measures.batched` and :meth:`Measures.dropped`, and sets ``queued_requests`` and
``queued_rows`` as they change; ``/metrics`` shows them. No other code needs them.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from itertools import count

BATCH_BOUNDS = tuple(2**power for power in range(17))
"""Upper bounds of the histogram of rows scored at once; one more cell is for larger ones."""
EXPIRED, ABANDONED = "expired", "abandoned"
DROPPED = (EXPIRED, ABANDONED)
"""Reasons for dropping work before scoring: its deadline passed, or its client disconnected."""

_BUCKETS = len(BATCH_BOUNDS) + 1
_WHY = dict(zip(DROPPED, count(1 + _BUCKETS)))
CELLS = 1 + _BUCKETS + len(DROPPED)
"""Layout of the cells: sum of rows, histogram buckets, one cell per drop reason."""


class Measures:
    """Counters of one worker. Used by the event loop's thread only.

    Attributes:
        queued_requests, queued_rows: Requests and rows in the queue now.
        cells: The counts: in memory until :meth:`keep_in` gives a place that outlives the process.
    """

    __slots__ = ("cells", "queued_requests", "queued_rows")

    def __init__(self) -> None:
        self.queued_requests = 0
        self.queued_rows = 0
        self.cells: MutableSequence[float] | memoryview[float] = [0.0] * CELLS

    def batched(self, rows: int) -> None:
        """Count a batch of ``rows`` rows. Takes 0.2 µs."""
        cells = self.cells
        cells[0] += rows
        cells[1 + min((max(rows, 1) - 1).bit_length(), _BUCKETS - 1)] += 1

    def dropped(self, why: str) -> None:
        """Count a request that was not scored because its client no longer waits: ``EXPIRED`` or ``ABANDONED``."""
        self.cells[_WHY[why]] += 1

    def keep_in(self, cells: MutableSequence[float] | memoryview[float]) -> None:
        """Move the counts to ``cells``, added to what is there already.

        Args:
            cells: ``CELLS`` numbers.
        """
        for place in range(CELLS):
            cells[place] += self.cells[place]
        self.cells = cells
