"""One CSV file has the same missing values for gates, batches, request bodies, devices and MLflow's own server."""

import io

import numpy as np
import pandas as pd
import pytest

from lifecycle.bundle import runner
from lifecycle.data.csv import NULLS
from lifecycle.data.read import read_dataset
from lifecycle.scoring.payload import decode
from lifecycle.scoring.signature import Column, Signature
from lifecycle.targets.batch.chunks import ChunkReader, addresses_of
from lifecycle.targets.batch.engine import score_chunk

SIGNATURE = Signature((Column("delay", "double"), Column("carrier", "string")))


class Echo:
    """A scorer that answers each row with what it was given."""

    kind = "echo"
    signature = SIGNATURE

    def predict(self, batch):
        return dict(batch)

    def close(self):
        pass


@pytest.fixture
def delays(tmp_path):
    """200 flights; 40 without a delay and 29 without a carrier, as R and pandas write it."""
    delay = [*["NA"] * 40, *map(str, range(160))]
    carrier = [*["UA", "B6", "AA"] * 57, *["NA"] * 29]
    path = tmp_path / "delays.csv"
    path.write_text("\n".join(["delay,carrier", *map(",".join, zip(delay, carrier, strict=True))]) + "\n")
    return path


def missing_in(columns):
    return {name: [row for row, value in enumerate(columns[name]) if pd.isna(value)] for name in SIGNATURE.names}


def ways(path):
    """What each way in takes from a file, as columns."""
    gates = read_dataset(str(path), None)
    (address,) = addresses_of([path], 1000)
    scored = score_chunk(Echo(), ChunkReader(path, list(SIGNATURE.names)).read(address), [])
    assert scored.rejected.num_rows == 0
    inputs = [{"name": c.name, "type": c.type} for c in SIGNATURE.inputs]
    return {
        "gates": {name: gates.column(name).tolist() for name in gates.columns},
        "batch": scored.predictions.to_pydict(),
        "rest": decode(path.read_bytes(), "text/csv", SIGNATURE),
        "edge": runner.read_csv(path.read_text(encoding="utf-8"), inputs),
    }


def test_the_same_file_has_the_same_missing_values_for_all_and_for_mlflows_server(delays):
    from mlflow.pyfunc.scoring_server import parse_csv_input
    from mlflow.types import ColSpec, Schema

    schema = Schema([ColSpec(c.type, c.name) for c in SIGNATURE.inputs])
    expected = missing_in(parse_csv_input(io.StringIO(delays.read_text()), schema))
    assert {name: len(rows) for name, rows in expected.items()} == {"delay": 40, "carrier": 29}
    for way, columns in ways(delays).items():
        assert missing_in(columns) == expected, way


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_text_is_a_missing_value_exactly_where_pandas_takes_it_for_one(tmp_path, quote):
    texts = [*NULLS, "N.A.", "none", "NAN", "-", "?", " NA", "na"]
    lines = ["delay,carrier", *(f"{i},{quote}{text}{quote}" for i, text in enumerate(texts))]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(lines))
    expected = [row for row, value in enumerate(pd.read_csv(path).carrier) if pd.isna(value)]
    assert expected == list(range(len(NULLS)))
    for way, columns in ways(path).items():
        assert missing_in(columns)["carrier"] == expected, way


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfdelay,carrier\n1,UA\n2,B6\n",
        b"delay,carrier\r\n1,UA\r\n2,B6\r\n",
        b"delay,carrier\n\n1,UA\n\n2,B6",
        b'"delay","carrier"\n"1","UA"\n" 2 ","B6"\n',
    ],
)
def test_marks_line_ends_empty_lines_and_quotes_mean_the_same_everywhere(tmp_path, content):
    path = tmp_path / "spelled.csv"
    path.write_bytes(content)
    for way, columns in ways(path).items():
        assert np.array_equal(columns["delay"], [1, 2]), way
        assert list(columns["carrier"]) == ["UA", "B6"], way


def test_a_folder_named_by_a_value_is_a_column_of_csv_files_too(tmp_path):
    for month in (6, 7):
        folder = tmp_path / f"month={month}"
        folder.mkdir()
        (folder / "part.csv").write_text(f"delay\n{month}0\n")
    data = read_dataset(str(tmp_path), None)
    assert data.columns == ("delay", "month")
    assert data.column("month").tolist() == [6, 7]
    assert data.column("delay").tolist() == [60, 70]


def test_a_value_far_down_decides_the_type_of_its_whole_column(tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "1,1\n" * 1_500_000 + "2.5,x\n")
    data = read_dataset(str(path), None)
    assert {name: str(kind) for name, kind in data.rows.types.items()} == {"a": "double", "b": "string"}
    assert data.column("a").iloc[-1] == 2.5
    assert data.column("b").iloc[[0, -1]].tolist() == ["1", "x"]
