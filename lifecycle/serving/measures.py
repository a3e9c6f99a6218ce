"""What one worker counts where only the code at that place knows it: batches, the queue, work that was dropped.

An engine calls :meth:`Measures.batched` and :meth:`Measures.dropped`, and sets ``queued_requests`` and
``queued_rows`` as they change; ``/metrics`` shows them. Nothing needs to be told to anybody else.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from itertools import count

BATCH_BOUNDS = tuple(2**power for power in range(17))
"""Upper bounds of the histogram of rows scored at once; one more cell is for larger ones."""
EXPIRED, ABANDONED = "expired", "abandoned"
DROPPED = (EXPIRED, ABANDONED)
"""Why work was dropped before it was scored: its deadline passed, or its client hung up."""

_BUCKETS = len(BATCH_BOUNDS) + 1
_WHY = dict(zip(DROPPED, count(1 + _BUCKETS)))
CELLS = 1 + _BUCKETS + len(DROPPED)
"""The sum of rows, the histogram's buckets, and one cell a reason for dropping."""


class Measures:
    """Counters of one worker. Touched by the event loop's thread only.

    Attributes:
        queued_requests, queued_rows: What waits for its turn now.
        cells: Where the counts are: memory until :meth:`keep_in` names a place that outlives the process.
    """

    __slots__ = ("cells", "queued_requests", "queued_rows")

    def __init__(self) -> None:
        self.queued_requests = 0
        self.queued_rows = 0
        self.cells: MutableSequence[float] | memoryview[float] = [0.0] * CELLS

    def batched(self, rows: int) -> None:
        """So many rows were put together and scored at once. 0.2 µs."""
        cells = self.cells
        cells[0] += rows
        cells[1 + min((max(rows, 1) - 1).bit_length(), _BUCKETS - 1)] += 1

    def dropped(self, why: str) -> None:
        """A request was not scored since nobody waits for it: ``EXPIRED`` or ``ABANDONED``."""
        self.cells[_WHY[why]] += 1

    def keep_in(self, cells: MutableSequence[float] | memoryview[float]) -> None:
        """Count there from now on, on top of what stands there already.

        Args:
            cells: ``CELLS`` numbers.
        """
        for place in range(CELLS):
            cells[place] += self.cells[place]
        self.cells = cells
