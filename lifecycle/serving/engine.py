"""Engines: a loaded model that scores on the event loop, in a thread, or in its own processes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.loader import load_verified
from lifecycle.scoring.signature import Signature
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.engines.out_of_process import open_processes
from lifecycle.serving.engines.warm_up import warm_up
from lifecycle.serving.measures import Measures


class Engine(Protocol):
    """One loaded version."""

    signature: Signature
    kind: str
    """``compiled`` or ``pyfunc``."""

    @property
    def alive(self) -> bool:
        """Whether it can score; False while every process of the model is being replaced."""
        ...

    def inline(self, batch: Batch, rows: int, params: Params | None) -> Predictions | None:
        """Score at once; None if that would delay other requests: then call :meth:`score`."""
        ...

    async def score(self, batch: Batch, rows: int, params: Params | None, deadline: float) -> Predictions:
        """Score when this batch's turn comes. Cancelling the call before that costs nothing.

        Args:
            deadline: In seconds of ``time.perf_counter``; after it the batch is not scored.

        Raises:
            InvalidInput: the batch does not fit the signature.
            Refusal: 429 when too much waits already, 503 without a process of the model, 504 after the deadline.
        """
        ...

    def close(self) -> None:
        """Release the model after its last request. Idempotent."""
        ...


async def open_engine(desired: Desired, measures: Measures | None = None) -> Engine:
    """Load a version, check that it works, and warm it up.

    Args:
        measures: Counters for batches and the queue.

    Raises:
        IntegrityError: the files do not match the digest.
        DeploymentFailed: the model does not load, or cannot score its example.
    """
    measures = measures or Measures()
    snapshot = Snapshot(desired.digest, Path(desired.snapshot))
    if not desired.compiled:
        return await open_processes(snapshot, desired.settings, measures)
    scorer, measured = await asyncio.to_thread(_load, snapshot, Path(desired.compiled))
    engine = InProcess(scorer, desired.settings, measures)
    for rows, seconds in measured:
        engine.measured(rows, seconds)
    return engine


def _load(snapshot: Snapshot, compiled: Path) -> tuple[Scorer, list[tuple[int, float]]]:
    scorer = load_verified(snapshot, compiled)
    try:
        return scorer, warm_up(scorer, golden_batch(snapshot.path))
    except Exception as exc:  # ONNX Runtime's exceptions have no common base class
        raise DeploymentFailed(f"the model cannot score its example repeatedly ({type(exc).__name__})") from exc
