"""Labelled rows, and what models answer to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lifecycle.data.dataset import Dataset
from lifecycle.gates.input_rows import ask
from lifecycle.gates.performance.answers import Unmeasurable
from lifecycle.gates.subject import Candidate
from lifecycle.scoring.contract import Predictions

Array = NDArray[Any]
_CHUNK_ROWS = 20_000
_MOST_DRAWN = 10  # times as many rows as are wanted, where few of them have a label


@dataclass(frozen=True)
class LabelledRows:
    """Rows that have a label.

    Attributes:
        frame: All columns but the label's.
        labels: 1-D.
        label: Name of the label column.
        labelled: How many rows of the source have a label.
        source: Where they come from, for people.
    """

    frame: pd.DataFrame
    labels: Array
    label: str
    labelled: int
    source: str

    def __len__(self) -> int:
        return len(self.frame)


def labelled_rows(rows: Dataset | None, size: int, seed: int) -> LabelledRows | None:
    """At most ``size`` labelled rows, drawn at random; None where no row has a label.

    Where most rows have none, so many are drawn that enough of them do, but never more than ten times ``size``.
    """
    if rows is None or rows.label is None or not rows.has_labels:
        return None
    labelled = int(rows.column(rows.label).notna().sum())
    if not labelled:
        return None
    wanted = min(-(-size * rows.count // labelled), _MOST_DRAWN * size) if rows.count > size else size
    frame = rows.sample(wanted, seed)
    frame = frame[frame[rows.label].notna()]
    if len(frame) > size:
        frame = frame.sample(size, random_state=seed).sort_index()
    labels = _plain(frame.pop(rows.label))
    return LabelledRows(frame.reset_index(drop=True), labels, rows.label, labelled, rows.source)


def _plain(labels: pd.Series[Any]) -> Array:
    """As numbers, text or true and false, whatever pandas holds them in; else as objects."""
    try:
        return np.array(labels.tolist())
    except ValueError:  # lists of different lengths
        return np.array([None] * len(labels))


def predictions_of(candidate: Candidate, frame: pd.DataFrame) -> Array:
    """What a version answers, scored in chunks, so that memory does not grow with the columns it makes of a row.

    Raises:
        NoSignature, InvalidInput: the rows cannot be scored.
        Unmeasurable: it answers with several columns.
    """
    from lifecycle.scoring.frames import batch_from_frame

    answers = []
    for start in range(0, len(frame), _CHUNK_ROWS):
        batch = batch_from_frame(frame.iloc[start : start + _CHUNK_ROWS], candidate.signature)
        answers.append(_one_array(ask(candidate.scorer, batch)))
    return np.concatenate(answers)


def _one_array(predictions: Predictions) -> Array:
    if isinstance(predictions, np.ndarray):
        return predictions
    if len(predictions) == 1:
        return next(iter(predictions.values()))
    raise Unmeasurable(
        "several_outputs",
        f"the model answers with {len(predictions)} named columns, and it is not known which counts",
    )
