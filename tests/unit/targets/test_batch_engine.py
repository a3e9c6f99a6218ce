"""What becomes of a chunk, with scorers that are as bad as the contract allows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.targets.batch.chunks import Chunk
from lifecycle.targets.batch.engine import score_chunk


@dataclass
class Doubling:
    """Doubles, and refuses batches with a negative number."""

    name: str | None = None
    signature = Signature((Column("x", "double"),))
    kind = "pyfunc"

    def predict(self, batch: Batch) -> Predictions:
        if (batch["x"] < 0).any():
            raise InvalidInput("a number is negative")
        return {self.name: 2 * batch["x"]} if self.name else 2 * batch["x"]

    def close(self) -> None:
        pass


class Broken(Doubling):
    def predict(self, batch: Batch) -> Predictions:
        raise ZeroDivisionError(f"secret {batch['x'][0]}")


class Forgetful(Doubling):
    def predict(self, batch: Batch) -> Predictions:
        return batch["x"][:-1]


def chunk(file="rows.parquet", first=11, ragged=(), **columns) -> Chunk:
    rows = pa.record_batch(columns)
    return Chunk(Path(file), rows, np.arange(first, first + rows.num_rows), ragged)


def test_a_row_that_the_scorer_refuses_is_rejected_alone():
    scored = score_chunk(Doubling(), chunk(x=[1.0, -2.0, 3.0, -4.0], ragged=(15,)), ())
    assert scored.predictions.to_pydict() == {"prediction": [2.0, 6.0]}
    assert scored.rejected.to_pydict() == {
        "file": ["rows.parquet"] * 3,
        "row": [12, 14, 15],
        "reason": ["refused_by_model", "refused_by_model", "wrong_number_of_cells"],
        "column": [None] * 3,
    }


def test_rows_that_do_not_fit_and_rows_that_are_refused_are_told_apart():
    cells = {"x": [b"1", b"one", b"-1", None], "id": [b"a", b"b", b"c", b"\xff"]}
    scored = score_chunk(Doubling(), chunk("a.csv", **cells), ["id"])
    assert scored.predictions.to_pydict() == {"id": ["a"], "prediction": [2.0]}
    told = scored.rejected.to_pydict()
    assert list(zip(told["row"], told["reason"], told["column"], strict=True)) == [
        (12, "unfit_value", "x"),
        (13, "refused_by_model", None),
        (14, "unfit_value", "id"),
    ]


def test_a_chunk_without_one_good_row_has_no_predictions():
    scored = score_chunk(Doubling(), chunk(x=[-1.0, -2.0]), ())
    assert (scored.predictions.num_rows, scored.rejected.num_rows) == (0, 2)


def test_named_predictions_keep_their_names_and_must_not_hide_a_kept_column():
    assert score_chunk(Doubling("y"), chunk(x=[1.0]), ["x"]).predictions.to_pydict() == {
        "x": [1.0],
        "y": [2.0],
    }
    with pytest.raises(DeploymentFailed, match="keep"):
        score_chunk(Doubling("x"), chunk(x=[1.0]), ["x"])


def test_a_model_that_breaks_fails_the_run_and_its_words_are_kept_out_of_the_message():
    with pytest.raises(DeploymentFailed, match=r"ZeroDivisionError.*rows 11 to 12 of rows\.parquet") as failure:
        score_chunk(Broken(), chunk(x=[1.0, 2.0]), ())
    assert "secret" not in str(failure.value)


def test_a_model_that_loses_a_row_fails_the_run():
    with pytest.raises(DeploymentFailed, match="gave 1 predictions for rows 11 to 12"):
        score_chunk(Forgetful(), chunk(x=[1.0, 2.0]), ())
