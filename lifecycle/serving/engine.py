"""Where a loaded model scores: here and now, in a thread, or in processes of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch, Params, Predictions, Scorer
from lifecycle.scoring.input_example import golden_batch
from lifecycle.scoring.loader import load_verified
from lifecycle.scoring.signature import Signature
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.engines.out_of_process import open_processes
from lifecycle.serving.engines.warm_up import warm_up
from lifecycle.serving.measures import Measures


class Engine(Protocol):
    """One loaded version, and how it is asked."""

    signature: Signature
    kind: str
    """``compiled`` or ``pyfunc``."""

    @property
    def alive(self) -> bool:
        """Whether anything is there to score with; False while every process of the model is being replaced."""
        ...

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


async def open_engine(desired: Desired, measures: Measures | None = None) -> Engine:
    """Load a version, see that it works, and warm it up.

    Args:
        measures: Where to count batches and what waits.

    Raises:
        IntegrityError: the files are not those of the digest.
        DeploymentFailed: it does not load, or cannot score its own example.
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
    except Exception as exc:  # ONNX Runtime's exceptions share no base class
        raise DeploymentFailed(f"the model cannot score its example repeatedly ({type(exc).__name__})") from exc
