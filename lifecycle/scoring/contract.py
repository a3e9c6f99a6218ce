"""The contract of scorers. Every implementation passes :class:`lifecycle.testing.ScorerContract`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.signature import InvalidInput, Signature

Batch = Mapping[str, NDArray[Any]]
"""Input arrays by column name, first axis the rows. A tensor model has the one column of its signature.

Text columns are object arrays of ``str`` and ``None``; a missing number is NaN.
"""

Predictions = NDArray[Any] | Mapping[str, NDArray[Any]]
"""One array with one row per input row, or named columns if the model answers with a table."""


class Fields(dict[str, NDArray[Any]]):
    """Predictions of a model that answers with a dict that is not a table; clients get it by name, unchanged."""


Params = Mapping[str, Any]
"""Inference parameters by name."""


class Scorer(Protocol):
    """A loaded snapshot."""

    @property
    def signature(self) -> Signature:
        """The model's inputs, outputs and parameters."""

    @property
    def kind(self) -> str:
        """``compiled`` or ``pyfunc``."""

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch. Thread-safe; the same rows give the same predictions in any batch size.

        Args:
            params: MLflow's inference parameters, already checked against the signature.

        Raises:
            InvalidInput: the batch does not fit the signature.
        """

    def close(self) -> None:
        """Release the model. Idempotent."""


def demand_columns(batch: Batch, signature: Signature) -> None:
    """Raise InvalidInput unless the batch has every column of the signature."""
    lacking = [repr(name) for name in signature.names if name not in batch]
    if lacking:
        raise InvalidInput(f"the rows lack column(s) {', '.join(lacking)}")


def row_count(batch: Batch) -> int:
    """Number of rows of a batch; 0 for an empty one."""
    for name in batch:
        return len(batch[name])
    return 0


def rows_of(predictions: Predictions) -> int:
    """Number of rows of predictions."""
    return len(predictions) if isinstance(predictions, np.ndarray) else row_count(predictions)


MATRIX = "lifecycle_rows"
"""Name of the input of a compiled model that takes all columns as one matrix."""


class Matrix(Mapping[str, NDArray[Any]]):
    """Columns by name as views of one array, which a compiled model takes as a whole.

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
    """All columns of a batch as one array of shape (rows, columns), without a copy if it is one already.

    Args:
        signature: Its columns are numbers of one type.
    """
    if isinstance(batch, Matrix) and batch.names == signature.names:
        return batch.array
    return np.column_stack([np.asarray(batch[name], signature.one_type) for name in signature.names])
