"""One chunk of input to predictions and rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed, LifecycleError
from lifecycle.scoring.arrow_rows import arrow_from_predictions
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.signature import Column, InvalidInput
from lifecycle.targets.batch.chunks import Chunk
from lifecycle.targets.batch.fit import Misfits, batch_of, find_misfits, refused_rows

RAGGED, REFUSED = "wrong_number_of_cells", "refused_by_model"
"""Reason codes, beside those of :mod:`lifecycle.targets.batch.fit`: a CSV row of another length than the header;
a row that fits, and that the scorer would not take all the same."""


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """What became of a chunk's rows: each is in exactly one of the two.

    Attributes:
        predictions: Kept columns and predictions of the rows that fit, in their order.
        rejected: File, row number, reason code and column (where one is to blame) of the others, by row number.
    """

    predictions: pa.Table
    rejected: pa.Table


@dataclass(frozen=True, slots=True)
class ChunkScorer:
    """Scores chunks with one model.

    Attributes:
        keep: Input columns to carry along.
    """

    scorer: Scorer
    keep: Sequence[str]

    def score(self, chunk: Chunk) -> ScoredChunk:
        """Score the rows that fit, and say of the others why they do not.

        Raises:
            DeploymentFailed: the model broke, or did not answer with one prediction a row.
        """
        ragged = np.array(chunk.ragged, np.int64)
        rejected = [_rejects(chunk, ragged, [RAGGED] * len(ragged), [None] * len(ragged))]
        for find in (self._find_misfits, self._find_refused):
            try:
                return ScoredChunk(self._answer(chunk), _in_order(rejected))
            except InvalidInput:
                bad = find(chunk)
                rejected.append(_rejects(chunk, chunk.numbers[bad.mask], bad.reasons, bad.columns))
                chunk = chunk.only(~bad.mask)
        return ScoredChunk(self._answer(chunk), _in_order(rejected))

    def _answer(self, chunk: Chunk) -> pa.Table:
        """Raises InvalidInput when any row does not fit."""
        if not len(chunk.numbers):
            return pa.table({})
        kept = {name: _kept(chunk, name) for name in self.keep}
        predictions = self._predict(chunk)
        taken = set(kept) & set(predictions.schema.names)
        if taken:
            raise DeploymentFailed(f"the model names a prediction {taken.pop()!r}, so -C keep cannot hold it")
        return pa.table(kept | {name: predictions.column(name) for name in predictions.schema.names})

    def _predict(self, chunk: Chunk) -> pa.RecordBatch:
        where = f"rows {chunk.numbers[0]} to {chunk.numbers[-1]} of {chunk.file}"
        batch = batch_of(chunk.rows, self.scorer.signature)
        try:
            predictions = arrow_from_predictions(self.scorer.predict(batch))
        except LifecycleError:
            raise
        except Exception as exc:  # a model raises what it likes, and its text may quote the rows
            raise DeploymentFailed(f"the model broke ({type(exc).__name__}) on {where}") from exc
        if predictions.num_rows != len(chunk.numbers):
            raise DeploymentFailed(f"the model gave {predictions.num_rows} predictions for {where}")
        return predictions

    def _find_misfits(self, chunk: Chunk) -> Misfits:
        present = chunk.rows.schema.names
        columns = {c.name: c for c in self.scorer.signature.inputs if c.name in present}
        if chunk.is_raw:
            columns = {name: Column(name, "string") for name in self.keep} | columns
        return find_misfits(chunk.rows, columns.values())

    def _find_refused(self, chunk: Chunk) -> Misfits:
        mask = refused_rows(len(chunk.numbers), lambda part: self._answer(chunk.part(part)))
        count = int(mask.sum())
        return Misfits(mask, [REFUSED] * count, [None] * count)


def _kept(chunk: Chunk, name: str) -> pa.Array:
    """A kept column as it is in the input; of CSV, as text."""
    values = chunk.rows.column(name)
    if not chunk.is_raw:
        return values
    try:
        return pc.cast(values, pa.string())
    except pa.ArrowInvalid:
        raise InvalidInput(f"column {name!r} holds bytes that are not UTF-8") from None


def _rejects(
    chunk: Chunk, numbers: NDArray[np.int64], reasons: Sequence[str], columns: Sequence[str | None]
) -> pa.Table:
    return pa.table(
        {
            "file": pa.array([str(chunk.file)] * len(numbers), pa.string()),
            "row": pa.array(numbers, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "column": pa.array(columns, pa.string()),
        }
    )


def _in_order(rejected: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(rejected).sort_by("row")
