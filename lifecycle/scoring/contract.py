"""What a scorer is. Every implementation passes :class:`lifecycle.testing.ScorerContract`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifecycle.scoring.signature import InvalidInput, Signature

Batch = Mapping[str, NDArray[Any]]
"""Input arrays by column name, first axis the rows. A tensor model has the one column of its signature.

Text columns are object arrays of ``str`` and ``None``; a missing number is NaN.
"""

Predictions = NDArray[Any] | Mapping[str, NDArray[Any]]
"""One array, first axis the rows, or named columns where the model answers with a table."""


class Fields(dict[str, NDArray[Any]]):
    """Predictions of a model that answers with a dict and not a table: a client gets it as it is, by name."""


Params = Mapping[str, Any]
"""Inference parameters by name."""


class Scorer(Protocol):
    """A loaded snapshot."""

    @property
    def signature(self) -> Signature:
        """The inputs the model takes."""
        ...

    @property
    def kind(self) -> str:
        """``compiled`` or ``pyfunc``."""
        ...

    def predict(self, batch: Batch, params: Params | None = None) -> Predictions:
        """Score a batch. Thread-safe; the same rows give the same predictions in any batch size.

        Args:
            params: MLflow's inference parameters, already checked against the signature.

        Raises:
            InvalidInput: the batch does not fit the signature.
        """
        ...

    def close(self) -> None:
        """Release the model. Idempotent."""
        ...


def demand_columns(batch: Batch, signature: Signature) -> None:
    """Raises InvalidInput unless the batch has every column of the signature."""
    lacking = [repr(name) for name in signature.names if name not in batch]
    if lacking:
        raise InvalidInput(f"the rows lack column(s) {', '.join(lacking)}")


def row_count(batch: Batch) -> int:
    """Rows of a batch; 0 for an empty one."""
    for name in batch:
        return len(batch[name])
    return 0


def rows_of(predictions: Predictions) -> int:
    """Rows of predictions."""
    return len(predictions) if isinstance(predictions, np.ndarray) else row_count(predictions)
