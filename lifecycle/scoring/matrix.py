"""A batch that is one array: for models whose columns are all numbers of one type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.contract import Batch
from lifecycle.scoring.signature import Signature

MATRIX = "lifecycle_rows"
"""The input of a compiled model that takes all its columns at once."""


class Matrix(Mapping[str, NDArray[Any]]):
    """Columns by name as views of one array, so that a compiled model takes them all at once.

    Attributes:
        array: Of shape (rows, columns), contiguous, in the order of ``names``.
    """

    __slots__ = ("array", "names")

    def __init__(self, names: tuple[str, ...], array: NDArray[Any]) -> None:
        self.names = names
        self.array = array

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            column: NDArray[Any] = self.array[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __reduce__(self) -> tuple[type[Matrix], tuple[tuple[str, ...], NDArray[Any]]]:
        return Matrix, (self.names, self.array)


def array_of(batch: Batch, signature: Signature) -> NDArray[Any]:
    """All columns of a batch as one array of shape (rows, columns), without a copy where it is one already.

    Args:
        signature: Its columns are numbers of one type.
    """
    if isinstance(batch, Matrix) and batch.names == signature.names:
        return batch.array
    return np.column_stack([np.asarray(batch[name], signature.one_type) for name in signature.names])
