"""All columns, two at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from lifecycle.data.dataset import Dataset, drawn
from lifecycle.gates.drift.arrow import rows_of
from lifecycle.gates.drift.columns import Column, measure

_THREADS = 2  # numpy and Arrow let the other run while they sort, count and read

Pair = tuple["pd.Series[Any]", "pd.Series[Any]"]


@dataclass(frozen=True)
class Compared:
    """What came of it.

    Attributes:
        columns: In the order that was asked for.
        samples: The same rows of every column that was read: the reference's, today's.
    """

    columns: tuple[Column, ...]
    samples: tuple[pd.DataFrame, pd.DataFrame]


def compare(
    names: Sequence[str], also: Sequence[str], reference: Dataset, current: Dataset, size: int, seed: int
) -> Compared:
    """Compare all rows of the columns ``names``, and draw a sample of them and of the columns ``also``.

    The sample is taken in passing: drawing it from the files would read them a second time.
    """
    rows = drawn(reference.count, size, seed), drawn(current.count, size, seed)
    kept: dict[str, Pair] = {}

    def one(name: str) -> Column | None:
        before, now = reference.column(name), current.column(name)
        kept[name] = rows_of(before, rows[0]), rows_of(now, rows[1])
        measured = measure(name, before, now, seed) if name in names else None
        del before, now
        pa.default_memory_pool().release_unused()  # which Arrow would keep for the next column
        return measured

    read = list(dict.fromkeys((*names, *also)))
    with ThreadPoolExecutor(_THREADS) as pool:
        columns = list(pool.map(one, read))
    return Compared(tuple(c for c in columns if c is not None), (_frame(read, kept, 0), _frame(read, kept, 1)))


def _frame(names: Sequence[str], kept: Mapping[str, Pair], side: int) -> pd.DataFrame:
    return pd.DataFrame({name: kept[name][side] for name in names})
