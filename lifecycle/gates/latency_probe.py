"""The process in which a scorer's latency and memory are measured: it holds nothing but that scorer.

``python -P -m lifecycle.gates.latency_probe FOLDER`` reads ``FOLDER/request.pickle``, which its parent wrote, and
leaves ``FOLDER/answer.json``.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from lifecycle.scoring.contract import Batch, Scorer

ROUNDS = 3
"""Each quantile is the median over three rounds, so that one disturbed round does not count."""

_ROUND_S = 0.25  # at least; fast calls are repeated often, so that few of them are interrupted


@dataclass(frozen=True, slots=True)
class Request:
    """A measurement request.

    Attributes:
        compiled: Folder of the compiled scorer, or None to load the snapshot with pyfunc.
        rows: A batch, of which each row is scored alone too.
        repeats: Least measured calls per round.
        warmup: Calls before the first round.
    """

    snapshot: Path
    compiled: Path | None
    rows: Batch
    repeats: int
    warmup: int


def answer(request: Request, bytes_before: int) -> dict[str, Any]:
    """Milliseconds of the scorer's calls, and MiB of memory that it added."""
    from lifecycle.scoring.contract import row_count
    from lifecycle.scoring.loader import load_scorer

    scorer = load_scorer(request.snapshot, request.compiled)
    alone = [
        {name: values[i : i + 1] for name, values in request.rows.items()} for i in range(row_count(request.rows))
    ]
    try:
        one_row, batch = (_quantiles(scorer, batches, request) for batches in (alone, [request.rows]))
    except Exception as exc:  # the model's own code may raise anything, and its text may quote a row
        return {"raised": type(exc).__name__}
    grown = psutil.Process().memory_info().rss - bytes_before
    return {
        "p50_ms": one_row[0],
        "p99_ms": one_row[1],
        "batch_p50_ms": batch[0],
        "batch_p99_ms": batch[1],
        "mib_memory": grown / 2**20,
    }


def _quantiles(scorer: Scorer, batches: Sequence[Batch], request: Request) -> tuple[float, float]:
    """The 50 % and 99 % quantiles of a call's milliseconds."""
    for i in range(request.warmup):
        scorer.predict(batches[i % len(batches)])
    rounds = [_round(scorer, batches, request.repeats) for _ in range(ROUNDS)]
    return median(r[0] for r in rounds), median(r[1] for r in rounds)


def _round(scorer: Scorer, batches: Sequence[Batch], repeats: int) -> tuple[float, float]:
    import numpy as np

    times: list[int] = []
    end = time.monotonic() + _ROUND_S
    while len(times) < repeats or time.monotonic() < end:
        batch = batches[len(times) % len(batches)]
        started = time.perf_counter_ns()
        scorer.predict(batch)
        times.append(time.perf_counter_ns() - started)
    middle, slow = np.quantile(times, (0.5, 0.99), method="higher") / 1e6
    return float(middle), float(slow)


def main() -> None:
    """Measure one request."""
    bytes_before = psutil.Process().memory_info().rss
    from lifecycle.processes.process import watch_owner

    watch_owner(lambda: os._exit(1))
    folder = Path(sys.argv[1])
    request = pickle.loads((folder / "request.pickle").read_bytes())  # noqa: S301  # from our own parent
    (folder / "answer.json").write_text(json.dumps(answer(request, bytes_before)), encoding="utf-8")


if __name__ == "__main__":
    main()
