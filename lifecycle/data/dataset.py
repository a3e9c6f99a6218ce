"""Rows to judge on: one column of all of them, or all columns of some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Rows(Protocol):
    """A source of rows. What it gives away is the caller's own and may be changed."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """The columns in order, each with its type; nested and mixed ones have ``pa.null()``."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256 of the rows, for the evidence."""
        ...

    def column(self, name: str) -> pd.Series[Any]:
        """One column of all rows, in order."""
        ...

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """``size`` rows drawn at random without replacement, in order; all of them where there are no more."""
        ...


def drawn(count: int, size: int, seed: int) -> NDArray[np.int64]:
    """Row numbers in ascending order: ``size`` of ``count``, or all of them."""
    if size >= count:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False, shuffle=False))


@dataclass(frozen=True)
class Dataset:
    """Rows, and what is known of them.

    Attributes:
        rows: Where they come from.
        label: Name of the label column, or None.
        source: Where they come from, for people; holds no secret.
    """

    rows: Rows
    label: str | None
    source: str

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.rows.count

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, the label's too."""
        return tuple(self.rows.types)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Every column but the label's."""
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
        """One column of all rows: 8 bytes a row for numbers, so ask for one after the other."""
        return self.rows.column(name)

    def sample(self, size: int, seed: int = 0) -> pd.DataFrame:
        """All columns of ``size`` rows drawn at random, in order; of all rows where there are no more."""
        return self.rows.sample(size, seed)

    def whole(self) -> pd.DataFrame:
        """Every row. Only for rows that are few by their nature, such as tracked reference rows."""
        return self.rows.sample(self.count, seed=0)
