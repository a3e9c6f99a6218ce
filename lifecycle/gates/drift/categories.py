"""Text and true/false: counted once, then compared by Jensen-Shannon distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lifecycle.data.dataset import drawn
from lifecycle.gates.drift.arrow import as_arrow, pieces, taken
from lifecycle.gates.drift.values import Picture, Values
from lifecycle.statistics.chance import Counts, jensen_shannon_null
from lifecycle.statistics.distances import jensen_shannon

_MIXED_ROWS = 100_000  # that random splits are made of, on either side
_SHOWN = 12
_LONGEST = 40  # characters of a category's name in a picture


def compare_categories(reference: pd.Series[Any], current: pd.Series[Any], seed: int) -> Values:
    """Of two samples; nulls are left out.

    Categories that the reference lacks are counted together: that leaves the distance as it is, and the
    memory bounded by the reference, however many of them there are.
    """
    before, now = _values(reference), _values(current)
    known = pc.unique(before)
    counts = np.array([_counts(before, known), _counts(now, known)])
    distance = float(jensen_shannon(*counts))
    parts = [taken(side, drawn(len(side), _MIXED_ROWS, seed)) for side in (before, now)]
    mixed = pc.value_counts(pa.chunked_array([*parts[0].chunks, *parts[1].chunks])).field("counts").to_numpy()
    chance, unseen = jensen_shannon_null(mixed, len(parts[0]), distance, seed)
    new = float(counts[1, -1] / len(now))
    missing = float(counts[0, counts[1] == 0].sum() / len(before))
    return Values(
        distance, chance, "Jensen-Shannon distance", _picture(known, counts), max(0.0, new - unseen), missing
    )


def _values(column: pd.Series[Any]) -> pa.ChunkedArray:
    values = as_arrow(column)
    values = values.drop_null() if values.null_count else values
    return values if pa.types.is_boolean(values.type) else values.cast(pa.large_string())


def _counts(values: pa.ChunkedArray, known: pa.Array) -> Counts:
    """How often each known category occurs, and all others together."""
    counts: Counts = np.zeros(len(known) + 1, dtype=np.int64)
    for piece in pieces(values):
        places = pc.fill_null(pc.index_in(piece, value_set=known), len(known))
        counts += np.bincount(places.to_numpy(zero_copy_only=False), minlength=len(counts))
    return counts


def _picture(known: pa.Array, counts: Counts) -> Picture:
    shares = counts / counts.sum(axis=1, keepdims=True)
    order = np.argsort(-shares[0, :-1], kind="stable")
    shown, rest = order[:_SHOWN], order[_SHOWN:]
    labels = [str(known[int(i)].as_py())[:_LONGEST] for i in shown]
    columns = shares[:, shown]
    if len(rest):
        labels.append(f"other ({len(rest)})")
        columns = np.c_[columns, shares[:, rest].sum(axis=1)]
    if counts[1, -1]:
        labels.append("new")
        columns = np.c_[columns, shares[:, -1]]
    before, now = columns.tolist()
    return Picture(tuple(labels), tuple(before), tuple(now))
