"""``.npy`` files as input: arrays of rows or one row, however stored; others are refused before a row is read."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifecycle.errors import DeploymentFailed, OptionError
from lifecycle.scoring.signature import Column, Signature
from lifecycle.targets.batch.chunks import ChunkReader, addresses_of, demand_fitting_columns, read_schema
from lifecycle.targets.batch.engine import LocalEngine, ScoringJob, score_chunk
from lifecycle.targets.batch.plan import BatchPlan, InputChanged, InputFile, input_files
from tests.serving_here import Model

ROWS = np.arange(42, dtype=np.float32).reshape(7, 1, 2, 3)
IMAGE = Column("", "float32", (-1, 1, 2, 3))
SIGNATURE = Signature((IMAGE,))


def scored(path, tensor=IMAGE, keep=(), chunk_rows=3):
    """Positions of the predictions and of the rejected rows; the model echoes the sum of each row."""
    model = Model((tensor,), lambda batch: batch[tensor.name].reshape(len(batch[tensor.name]), -1).sum(1))
    schema = read_schema(path, model.signature)
    demand_fitting_columns(path, schema, model.signature, keep)
    reader = ChunkReader(path, schema.names, model.signature)
    parts = [score_chunk(model, reader.read(a), keep) for a in addresses_of([path], chunk_rows, model.signature)]
    predictions = pa.concat_tables(part.predictions for part in parts if part.predictions.num_rows)
    return predictions, pa.concat_tables(part.rejected for part in parts)


STORED = {
    "as the tensor is": ROWS,
    "flat": ROWS.reshape(7, 6),
    "doubles": ROWS.astype(np.float64),
    "bytes": ROWS.astype(np.uint8),
    "big-endian": ROWS.astype(">f4"),
    "by column": np.asfortranarray(ROWS),
}


@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
@pytest.mark.parametrize("stored", STORED)
def test_an_array_of_rows_is_scored_in_chunks(tmp_path, stored, chunk_rows):
    np.save(tmp_path / "rows.npy", STORED[stored])
    predictions, rejected = scored(tmp_path / "rows.npy", keep=["file", "row"], chunk_rows=chunk_rows)
    assert predictions["prediction"].to_pylist() == ROWS.sum(axis=(1, 2, 3)).tolist()
    assert predictions["row"].to_pylist() == list(range(1, 8))
    assert set(predictions["file"].to_pylist()) == {str(tmp_path / "rows.npy")}
    assert rejected.num_rows == 0


@pytest.mark.parametrize(
    ("tensor", "array"),
    [
        (IMAGE, ROWS[0]),
        (Column("x", "float32", (-1, 3)), np.array([1, 2, 3])),
        (Column("", "float64", (-1, -1)), np.array([1.0, 2.0, 3.0])),
        (Column("", "int64", (-1,)), np.array(6)),
        (Column("", "bool", (-1, 2)), np.array([True, False])),
    ],
)
def test_an_array_without_the_axis_of_rows_is_one_row(tmp_path, tensor, array):
    np.save(tmp_path / "row.npy", array)
    assert scored(tmp_path / "row.npy", tensor)[0]["prediction"].to_pylist() == [array.sum()]


def test_a_value_that_does_not_fit_rejects_its_row_alone(tmp_path):
    rows = ROWS.astype(np.float64)
    rows[4, 0, 1, 1] = 1e300
    np.save(tmp_path / "rows.npy", rows)
    predictions, rejected = scored(tmp_path / "rows.npy", keep=["row"])
    assert predictions["row"].to_pylist() == [1, 2, 3, 4, 6, 7]
    assert rejected.select(["row", "reason"]).to_pylist() == [{"row": 5, "reason": "unfit_value"}]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (ROWS[:, :, :, :2], "shape (7, 1, 2, 2), and the model takes float32 of shape (-1, 1, 2, 3)"),
        (np.array(["a"]), "<U1"),
        (np.array([1 + 2j]), "complex128"),
        (ROWS > 1, "bool"),
        (np.array([{}], object), "as an array of numbers"),
        (np.empty((3, 0)), "(3, 0)"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_with_its_shape(tmp_path, array, message):
    np.save(tmp_path / "rows.npy", array, allow_pickle=True)
    with pytest.raises(DeploymentFailed, match=re.escape(message)):
        read_schema(tmp_path / "rows.npy", SIGNATURE)


def test_a_damaged_file_an_archive_and_no_rows(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    whole = path.read_bytes()
    for content in (b"", whole[:50], whole[:-4], b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(DeploymentFailed, match=r"cannot read input .*rows\.npy"):
            read_schema(path, SIGNATURE)
    with path.open("wb") as file:
        np.savez(file, a=ROWS)
    with pytest.raises(DeploymentFailed, match=r"cannot read input .*rows\.npy"):
        read_schema(path, SIGNATURE)
    np.save(path, ROWS[:0])
    assert addresses_of([path], 3, SIGNATURE) == ()


def test_a_model_of_columns_or_of_several_tensors_takes_none(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    with pytest.raises(DeploymentFailed, match="the model takes columns"):
        read_schema(tmp_path / "rows.npy", Signature((Column("x", "double"),)))
    with pytest.raises(DeploymentFailed, match="the model takes 2 tensors"):
        read_schema(tmp_path / "rows.npy", Signature((IMAGE, Column("b", "float32", (-1, 1)))))


def test_a_glob_is_the_files_it_means_in_their_order(tmp_path):
    for name in ("b.npy", "a.npy", ".c.npy", "rows.csv"):
        (tmp_path / name).touch()
    (tmp_path / "d.npy").mkdir()
    assert [path.name for path in input_files(tmp_path / "*.npy")] == ["a.npy", "b.npy"]
    with pytest.raises(OptionError, match="x"):
        input_files(tmp_path / "x*.npy")


def test_files_of_one_row_each_are_scored_together_and_each_row_known_by_its_file(tmp_path):
    wide = ROWS.astype(np.float64)
    arrays = [ROWS[0], wide[1], wide[2:3] * 1e300, wide[3:4], ROWS[4], ROWS[5:7], ROWS[:0], ROWS[6]]
    files = []
    for number, array in enumerate(arrays):
        np.save(tmp_path / f"{number}.npy", array)
        files.append(InputFile.pin(tmp_path / f"{number}.npy"))
    paths = [file.path for file in files]
    addresses = addresses_of(paths, 2, SIGNATURE)
    assert [(a.file, a.rows, a.stop) for a in addresses] == [
        (0, 1, 0),
        (1, 2, 2),
        (3, 1, 0),
        (4, 1, 0),
        (5, 2, 0),
        (7, 1, 0),
    ]
    plan = BatchPlan(tmp_path, tuple(files), "m", 1, "0" * 64, 2, ("file", "row"), addresses)
    model = Model((IMAGE,), lambda batch: batch[""].sum(axis=(1, 2, 3)))
    done = list(LocalEngine(ScoringJob(tmp_path / "out", SIGNATURE, lambda: model)).run(plan, addresses))
    assert [chunk.rows_in for chunk in done] == [1, 2, 1, 1, 2, 1]
    made = pq.read_table(tmp_path / "out").to_pylist()
    expected = [(0, 1, 0), (1, 1, 1), (3, 1, 3), (4, 1, 4), (5, 1, 5), (5, 2, 6), (7, 1, 6)]
    assert made == [
        {"file": str(paths[at]), "row": row, "prediction": ROWS[which].sum()} for at, row, which in expected
    ]
    (rejected,) = pq.read_table(tmp_path / "out" / "_rejected").to_pylist()
    assert (rejected["file"], rejected["row"], rejected["reason"]) == (str(paths[2]), 1, "unfit_value")
    np.save(paths[1], ROWS[0])
    with pytest.raises(InputChanged):
        list(LocalEngine(ScoringJob(tmp_path / "other", SIGNATURE, lambda: model)).run(plan, addresses[1:2]))
