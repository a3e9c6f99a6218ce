"""The first, slow executions before a version answers, and the cost that they show."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from lifecycle.scoring.contract import Batch, Scorer, row_count
from lifecycle.serving.engines.merge import repeat

_ROWS = (1, 8, 64)
_TIMES = 3
_ENOUGH_S = 0.2


def warm_up(scorer: Scorer, example: Batch | None) -> list[tuple[int, float]]:
    """Score the model's input example, repeated to several sizes.

    Returns:
        Rows and seconds of the fastest execution of each size; larger sizes are left out if they take long.
        Empty without an example.
    """
    return list(_measure(scorer, example)) if example is not None and row_count(example) else []


def _measure(scorer: Scorer, example: Batch) -> Iterator[tuple[int, float]]:
    for rows in _ROWS:
        batch = repeat(example, rows)
        fastest = min(_seconds(scorer, batch) for _ in range(_TIMES))
        yield rows, fastest
        if fastest > _ENOUGH_S:
            return


def _seconds(scorer: Scorer, batch: Batch) -> float:
    started = perf_counter()
    scorer.predict(batch)
    return perf_counter() - started
