"""Where a loaded model scores: here and now, in a thread, or in a process of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from lifecycle.domain.model_version import Snapshot
from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer
from lifecycle.scoring.signature import Signature
from lifecycle.scoring.verified import load_verified
from lifecycle.serving.control import Desired

# Below this a compiled scorer is done before a thread would have started; above, it would keep others waiting.
_INLINE_ROWS = 256
_WORKERS = 4


class Engine(Protocol):
    """One loaded version, and how it is asked."""

    signature: Signature
    kind: str
    """``compiled`` or ``pyfunc``."""

    def inline(self, batch: Batch, rows: int, params: Params | None) -> Predictions | None:
        """Score at once, or None where that would keep other requests waiting: then :meth:`score` it."""
        ...

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """Score when it is this batch's turn. A call that is cancelled before that costs nothing.

        Args:
            deadline: Seconds of ``time.perf_counter``; nothing is scored after it.

        Raises:
            InvalidInput: the batch does not fit the signature.
            Refusal: 429 when too much waits already, 503 when the model's process is gone, 504 after the deadline.
        """
        ...

    def close(self) -> None:
        """Release the model, when the last request has left it. Idempotent."""
        ...


class InProcess:
    """A scorer in the server's own process."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.signature = scorer.signature
        self.kind = scorer.kind
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="score")

    def inline(self, batch: Batch, rows: int, params: Params | None) -> Predictions | None:
        """Only what is compiled and small."""
        if self.kind == "compiled" and rows <= _INLINE_ROWS:
            return self._scorer.predict(batch, params)
        return None

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """In a thread."""
        del rows, deadline
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._scorer.predict, batch, params)

    def close(self) -> None:
        """Release the model."""
        self._scorer.close()
        self._pool.shutdown(wait=False)


async def open_engine(desired: Desired) -> Engine:
    """Load a version and see that it works.

    Raises:
        IntegrityError: the files are not those of the digest.
        DeploymentFailed: it does not load, or cannot score its own example.
    """
    snapshot = Snapshot(desired.digest, Path(desired.snapshot))
    compiled = Path(desired.compiled) if desired.compiled else None
    return InProcess(await asyncio.to_thread(load_verified, snapshot, compiled))
