"""Rows on which scorers tend to differ: made of ordinary ones, to prove a compiled model on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch, row_count
from lifecycle.scoring.signature import Column, Signature

MANY = 1000
_FEW = 8
_UNSEEN = "never seen before"


def hard_batches(rows: Batch, signature: Signature) -> Iterator[tuple[str, Batch]]:
    """Batches of hard rows, each with its name, from ``one row`` to ``extremes``.

    A model may refuse any of them; then there is nothing to compare. Without a column that can be so, a batch is
    left out.

    Args:
        rows: At least one ordinary row.
    """
    yield "one row", {name: values[:1] for name, values in rows.items()}
    again = np.arange(MANY) % row_count(rows)
    yield "1,000 rows", {name: values[again] for name, values in rows.items()}
    columns = {column.name: column for column in signature.inputs}
    for name, change in (("nulls", _nulls), ("unseen categories", _unseen), ("extremes", _extremes)):
        changed = {key: change(columns[key], values) for key, values in rows.items()}
        if any(values is not None for values in changed.values()):
            yield name, {key: rows[key][:_FEW] if made is None else made for key, made in changed.items()}


def _nulls(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    """Every second value missing."""
    if column.shape is not None or column.type not in ("double", "float", "string"):
        return None
    values = rows[:_FEW].copy()
    values[::2] = None if column.type == "string" else np.nan
    return values


def _unseen(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    return np.full(len(rows[:_FEW]), _UNSEEN, object) if column.type == "string" else None


def _extremes(column: Column, rows: NDArray[Any]) -> NDArray[Any] | None:
    """Zero, the least and the largest ordinary value, and as far again beyond both."""
    known = rows[np.isfinite(rows)] if column.dtype.kind == "f" else rows.ravel()
    if column.dtype.kind not in "iuf" or not known.size:
        return None
    low, high = float(known.min()), float(known.max())
    chosen = np.array([0.0, low, high, 2 * low - high, 2 * high - low])
    if column.dtype.kind != "f":
        limits = np.iinfo(column.dtype)
        chosen = np.clip(chosen, max(limits.min, -(2.0**53)), min(limits.max, 2.0**53))
    values: NDArray[Any] = np.empty_like(rows[:_FEW])
    by_row = chosen.astype(column.dtype)[np.arange(len(values)) % len(chosen)]
    values[:] = by_row.reshape(-1, *[1] * (values.ndim - 1))
    return values
