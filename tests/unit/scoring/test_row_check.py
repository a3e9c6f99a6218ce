from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lifecycle.data.csv import NULLS
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.payload import decode
from lifecycle.scoring.row_check import batch_of, find_misfits, refused_rows
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.targets.batch.chunks import demand_fitting_columns

CELLS = ["1", "-2", "+3", "4.0", "5.5", " 6 ", "7x", "x", "", "nan", "0x10", "true", "False", "1e400", "9" * 30]
NUMBERS = {"double": pa.float64(), "long": pa.int64(), "integer": pa.int64(), "boolean": pa.bool_()}


def raw(cells):
    return pa.record_batch({"x": pa.array([None if c in NULLS else c.encode() for c in cells], pa.binary())})


@pytest.mark.parametrize("kind", ["double", "float", "long", "integer", "boolean", "string"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_csv_cell_means_the_same_in_a_file_as_in_a_request(kind, cell):
    signature = Signature((Column("x", kind), Column("y", "string")))
    in_file = raw([cell]).append_column("y", pa.array([b"y"], pa.binary()))
    try:
        expected = decode(f"x,y\n{cell},y\n".encode(), "text/csv", signature)["x"]
    except InvalidInput:
        with pytest.raises(InvalidInput):
            batch_of(in_file, signature)
        assert find_misfits(in_file, signature.inputs).positions.tolist() == [0]
    else:
        got = batch_of(in_file, signature)["x"]
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_only_the_rows_that_do_not_fit_are_found_with_column_and_reason():
    rows = pa.record_batch(
        {
            "n": pa.array([b"1", b"no", None, b"4", b"no"], pa.binary()),
            "t": pa.array([b"a", b"b", b"c", b"\xff", b"\xff"], pa.binary()),
        }
    )
    misfits = find_misfits(rows, [Column("n", "long"), Column("t", "string")])
    assert misfits.positions.tolist() == [1, 2, 3, 4]
    assert misfits.reasons == ["unfit_value", "missing_value", "unfit_value", "unfit_value"]
    assert misfits.columns == ["n", "n", "t", "n"]


def test_a_missing_number_fits_where_the_type_has_one_as_in_a_request():
    rows = pa.record_batch({"x": pa.array([1.0, None, float("nan")])})
    assert not len(find_misfits(rows, [Column("x", "double")]).positions)


@pytest.mark.parametrize("kind", ["long", "integer"])
def test_a_fraction_in_a_parquet_column_of_integers_is_a_misfit_and_a_whole_number_is_not(kind):
    rows = pa.record_batch({"x": [1.0, 1.5, None, 2.0**40]})
    expected = [1, 2, 3] if kind == "integer" else [1, 2]
    assert find_misfits(rows, [Column("x", kind)]).positions.tolist() == expected


@pytest.mark.parametrize("bad", [set(), {0}, {999}, {3, 4, 500}, set(range(1000))])
def test_halving_finds_exactly_the_refused_rows(bad):
    def take(part: slice) -> None:
        if bad & set(range(part.start, part.stop)):
            raise InvalidInput("")

    assert set(np.flatnonzero(refused_rows(1000, take)).tolist()) == bad


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (pa.string(), "double"),
        (pa.decimal128(5, 2), "double"),
        (pa.bool_(), "long"),
        (pa.int64(), "boolean"),
        (pa.int64(), "string"),
        (pa.binary(), "string"),
        (pa.list_(pa.float64()), "double"),
        (pa.int64(), "datetime"),
    ],
)
def test_a_parquet_column_of_a_type_that_cannot_fit_is_refused_before_any_row(given, wanted):
    with pytest.raises(DeploymentFailed, match=f"'x'.*a.parquet.*{wanted}"):
        demand_fitting_columns(Path("a.parquet"), pa.schema([("x", given)]), Signature((Column("x", wanted),)), ())


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array(["a", None], pa.large_string()), "string"),
        (pa.array(["a", None]).dictionary_encode(), "string"),
        (pa.array([1, 2], pa.int8()), "double"),
        (pa.array([1.0, 2.0], pa.float32()), "long"),
        (pa.nulls(2), "double"),
        (pa.nulls(2), "string"),
        (pa.array([0, 1], pa.date32()), "datetime"),
        (pa.array([0, 1], pa.timestamp("us", "UTC")), "datetime"),
        (pa.array([True, False]), "boolean"),
    ],
)
def test_every_type_that_is_let_in_becomes_the_signatures(values, wanted):
    signature = Signature((Column("x", wanted),))
    rows = pa.record_batch({"x": values})
    demand_fitting_columns(Path("a.parquet"), rows.schema, signature, ())
    assert batch_of(rows, signature)["x"].dtype == signature.inputs[0].dtype


def test_a_lacking_column_is_named_with_the_file():
    signature = Signature((Column("x", "double"), Column("z", "double", required=False)))
    schema = pa.schema([("y", pa.float64())])
    with pytest.raises(DeploymentFailed, match=r"a\.parquet has no column 'x'"):
        demand_fitting_columns(Path("a.parquet"), schema, signature, ())
    with pytest.raises(DeploymentFailed, match=r"no column 'id', which -C keep asks for"):
        demand_fitting_columns(Path("a.csv"), schema, Signature(()), ("id",))
    optional = Signature((Column("z", "double", required=False),))
    demand_fitting_columns(Path("a.parquet"), schema, optional, ())
