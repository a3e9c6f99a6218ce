"""Rows that a notebook holds in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import pyarrow as pa

from lifecycle.data.dataset import Dataset, drawn
from lifecycle.errors import UsageError


def dataset_from_frame(frame: pd.DataFrame, label: str | None, source: str = "the given data") -> Dataset:
    """A DataFrame as it is; its fingerprint covers column names, types and values, but not the index.

    Raises:
        UsageError: it has columns that cannot be told apart.
    """
    check_columns(list(frame.columns), source)
    return Dataset(FrameRows(frame), label, source)


def check_columns(names: list[Any], source: str) -> None:
    """Raises UsageError for columns without a name of their own."""
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"{source}: every column needs a name that is text")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UsageError(f"{source}: column {twice!r} occurs twice")


@dataclass(frozen=True)
class FrameRows:
    """See :class:`lifecycle.data.dataset.Rows`. The frame is never changed."""

    frame: pd.DataFrame

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.frame)

    @cached_property
    def types(self) -> Mapping[str, pa.DataType]:
        """As Arrow would store them."""
        return {name: _arrow_type(self.frame[name]) for name in self.frame.columns}

    @cached_property
    def fingerprint(self) -> str:
        """Of names, types and values; not of the index."""
        described = [[name, str(self.frame[name].dtype)] for name in self.frame.columns]
        digest = hashlib.sha256(json.dumps(described).encode())
        for name in self.frame.columns:
            digest.update(_hashes(self.frame[name]))
        return digest.hexdigest()

    def column(self, name: str) -> pd.Series[Any]:
        """A copy of the column."""
        return self.frame[name].copy()

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """In the order of the frame."""
        return self.frame.iloc[drawn(self.count, size, seed)].copy()


def _arrow_type(column: pd.Series[Any]) -> pa.DataType:
    try:
        found: pa.DataType = pa.Array.from_pandas(column.head(1000)).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.null()
    return pa.null() if pa.types.is_nested(found) else found


def _hashes(column: pd.Series[Any]) -> bytes:
    try:
        hashed = pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # lists or dictionaries in its cells
        hashed = pd.util.hash_pandas_object(column.map(repr), index=False)
    return bytes(hashed.to_numpy().tobytes())
