"""What the server answers with right now. Touched by the event loop's thread only, so it needs no lock."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from lifecycle.scoring.contract import Batch, Predictions, Scorer, row_count
from lifecycle.targets.rest.control import Desired

# Below this a compiled scorer is done before a thread would have started; above, it would keep others waiting.
_INLINE_ROWS = 256
_WORKERS = 4


class Release:
    """One version that answers. Entered by each request that uses it; closed after the last one left."""

    def __init__(self, desired: Desired, scorer: Scorer) -> None:
        self.desired = desired
        self.scorer = scorer
        self.headers = [
            (b"x-lifecycle-model", desired.model.encode()),
            (b"x-lifecycle-version", b"%d" % desired.version),
            (b"x-lifecycle-digest", desired.digest.encode()),
        ]
        self._in_use = 0
        self._retired = False

    def __enter__(self) -> Release:
        self._in_use += 1
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._in_use -= 1
        self._close_when_unused()

    def retire(self) -> None:
        """No new request will use it."""
        self._retired = True
        self._close_when_unused()

    def serves(self, desired: Desired) -> bool:
        """Whether these are the very files that are desired, under the same name and version."""
        mine = self.desired
        return (mine.model, mine.version, mine.digest, mine.compiled) == (
            desired.model,
            desired.version,
            desired.digest,
            desired.compiled,
        )

    def _close_when_unused(self) -> None:
        if self._retired and not self._in_use:
            self.scorer.close()


class Serving:
    """The one reference that a swap changes, and the bounds.

    Attributes:
        release: None until the first version is up.
        draining: Told to end: still answering, no longer ready.
        in_flight: Requests being read or scored.
    """

    def __init__(self, desired: Desired) -> None:
        self.release: Release | None = None
        self.draining = False
        self.in_flight = 0
        self.max_body = desired.max_body
        self.max_in_flight = desired.max_in_flight
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="score")

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.release is not None and not self.draining

    def switch(self, release: Release) -> None:
        """From the next request on, this one answers."""
        old, self.release = self.release, release
        if old is not None:
            old.retire()

    def set_bounds(self, desired: Desired) -> None:
        """From the next request on."""
        self.max_body, self.max_in_flight = desired.max_body, desired.max_in_flight

    async def score(self, release: Release, batch: Batch) -> Predictions:
        """Score where it disturbs the other requests least. Queued work is bounded by ``max_in_flight``."""
        scorer = release.scorer
        if scorer.kind == "compiled" and row_count(batch) <= _INLINE_ROWS:
            return scorer.predict(batch)
        return await asyncio.get_running_loop().run_in_executor(self._pool, scorer.predict, batch)
