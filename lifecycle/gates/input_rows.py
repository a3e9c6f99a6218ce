"""Batches of rows for a model, where only its inputs matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lifecycle.gates.subject import ModelRaised
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.signature import InvalidInput, Signature

if TYPE_CHECKING:
    import pandas as pd

_CHUNK_ROWS = 20_000


def batches_of(frame: pd.DataFrame, signature: Signature) -> Iterator[Batch]:
    """The rows in order, 20,000 at a time.

    Raises:
        InvalidInput: they do not fit the signature.
    """
    from lifecycle.scoring.frames import batch_from_frame

    for start in range(0, len(frame), _CHUNK_ROWS):
        yield batch_from_frame(frame.iloc[start : start + _CHUNK_ROWS], signature)


def ask(scorer: Scorer, batch: Batch) -> Predictions:
    """The model's predictions.

    Raises:
        ModelRaised: the model raises on rows that fit its signature.
    """
    try:
        return scorer.predict(batch)
    except InvalidInput:
        raise
    except Exception as exc:  # a model's code may raise anything
        raise ModelRaised(f"the model raises {type(exc).__name__} on rows that fit its signature") from exc


def has_values(columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether any value is not missing."""
    return any(_present(values).any() for values in columns.values())


def _present(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "O":
        return np.array([value is not None and value == value for value in values], dtype=bool)  # noqa: PLR0124
    return np.asarray(values == values)  # noqa: PLR0124  # only NaN and NaT are not themselves
