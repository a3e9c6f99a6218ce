"""Rows to judge on: one column of all rows, or all columns of a sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Rows(Protocol):
    """A source of rows. Returned columns and frames are copies that the caller may change."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The columns in order, with their types; nested and mixed columns have ``pa.null()``."""

    @property
    def fingerprint(self) -> str:
        """sha256 of the rows, for the evidence."""

    def column(self, name: str) -> pd.Series[Any]:
        """One column of all rows, in order."""

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """``size`` rows drawn at random without replacement, in order; all rows if there are no more."""


def drawn(count: int, size: int, seed: int) -> NDArray[np.int64]:
    """Row numbers in ascending order: ``size`` drawn of ``count``, or all of them."""
    if size >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False, shuffle=False))


@dataclass(frozen=True)
class Dataset:
    """Rows with their label column and source.

    Attributes:
        rows: The source of the rows.
        label: Name of the label column, or None.
        source: Readable name of the source, without secrets.
    """

    rows: Rows
    label: str | None
    source: str

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.rows.count

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the label included."""
        return tuple(self.rows.types)

    @property
    def inputs(self) -> tuple[str, ...]:
        """All columns but the label."""
        return tuple(name for name in self.columns if name != self.label)

    @property
    def has_labels(self) -> bool:
        """Whether these rows have the label column."""
        return self.label in self.columns

    @property
    def fingerprint(self) -> str:
        """sha256 of the rows."""
        return self.rows.fingerprint

    def column(self, name: str) -> pd.Series[Any]:
        """One column of all rows; numbers take 8 bytes a row, so ask for one after the other."""
        return self.rows.column(name)

    def sample(self, size: int, seed: int = 0) -> pd.DataFrame:
        """All columns of ``size`` rows drawn at random, in order; all rows if there are no more."""
        return self.rows.sample(size, seed)

    def whole(self) -> pd.DataFrame:
        """All rows. Only for small data, such as tracked reference rows."""
        return self.rows.sample(self.count, seed=0)


def dataset_from_frame(frame: pd.DataFrame, label: str | None, source: str = "the given data") -> Dataset:
    """A DataFrame as a dataset. Its fingerprint covers column names, types and values, but not the index.

    Raises:
        UsageError: two columns have the same name.
    """
    check_columns(list(frame.columns), source)
    return Dataset(FrameRows(frame), label, source)


def check_columns(names: list[Any], source: str) -> None:
    """Raise UsageError for columns without distinct names."""
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"{source}: every column needs a name that is text")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise UsageError(f"{source}: column {twice!r} occurs twice")


@dataclass(frozen=True)
class FrameRows:
    """Rows of a DataFrame, which is never changed. Implements :class:`Rows`."""

    frame: pd.DataFrame

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @cached_property
    def types(self) -> Mapping[str, pa.DataType]:
        """Types that Arrow would store."""
        return {name: _arrow_type(self.frame[name]) for name in self.frame.columns}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of names, types and values, without the index."""
        described = [[name, str(self.frame[name].dtype)] for name in self.frame.columns]
        digest = hashlib.sha256(json.dumps(described).encode())
        for name in self.frame.columns:
            digest.update(_hashes(self.frame[name]))
        return digest.hexdigest()

    def column(self, name: str) -> pd.Series[Any]:
        """A copy of the column."""
        return self.frame[name].copy()

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """A sample in the order of the frame."""
        return self.frame.iloc[drawn(self.count, size, seed)].copy()


def _arrow_type(column: pd.Series[Any]) -> pa.DataType:
    import pyarrow as pa

    try:
        found: pa.DataType = pa.Array.from_pandas(column.head(1000)).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.null()
    return pa.null() if pa.types.is_nested(found) else found


def _hashes(column: pd.Series[Any]) -> bytes:
    import pandas as pd

    try:
        hashed = pd.util.hash_pandas_object(column, index=False)
    except TypeError:  # lists or dictionaries in cells
        hashed = pd.util.hash_pandas_object(column.map(repr), index=False)
    return bytes(hashed.to_numpy().tobytes())
