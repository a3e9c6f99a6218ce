"""CSV has no types: a column's type is found from all of its values, the reference's first."""

import pandas as pd
import pyarrow as pa
import pytest

from lifecycle.data.read import read_dataset
from lifecycle.gates.column_types import ColumnType, column_type


def column_of(tmp_path, values, expected=None):
    path = tmp_path / "c.csv"
    path.write_text("x,n\n" + "".join(f"{value},{i}\n" for i, value in enumerate(values)))
    return read_dataset(str(path), None, lambda: {"x": expected} if expected else {}).column("x")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", ""], ColumnType.NUMBER),
        (["1", " 2.5", "1e3", "NA"], ColumnType.NUMBER),
        (["inf", "-Infinity", "nan"], ColumnType.NUMBER),
        (["True", "false", ""], ColumnType.BOOLEAN),
        (["", "NA", "null"], ColumnType.EMPTY),
        (["1", "two"], ColumnType.TEXT),
        (["2013-07-01", "2013-07-02"], ColumnType.TEXT),
        (['"a, b"', '"line\nbreak"'], ColumnType.TEXT),
    ],
)
def test_the_kind_that_every_value_fits(tmp_path, values, kind):
    assert column_type(column_of(tmp_path, values)) is kind


def test_one_value_at_the_end_of_many_decides(tmp_path):
    values = [str(i) for i in range(400_000)]
    assert column_type(column_of(tmp_path, values)) is ColumnType.NUMBER
    assert column_type(column_of(tmp_path, [*values, "n/k"])) is ColumnType.TEXT


@pytest.mark.parametrize(
    ("values", "expected", "kind"),
    [
        (["00501", "10001"], pa.string(), ColumnType.TEXT),
        (["2013-07-01 10:00:00", ""], pa.timestamp("us"), ColumnType.DATETIME),
        (["2013-07-01T10:00:00Z", ""], pa.timestamp("us", "UTC"), ColumnType.ZONED_DATETIME),
        (["AA", "B6"], pa.dictionary(pa.int32(), pa.string()), ColumnType.TEXT),
        (["0", "1"], pa.bool_(), ColumnType.BOOLEAN),
        (["1", "2"], pa.float64(), ColumnType.NUMBER),
        (["tomorrow", ""], pa.timestamp("us"), ColumnType.TEXT),
    ],
)
def test_the_references_type_where_every_value_fits_it(tmp_path, values, expected, kind):
    assert column_type(column_of(tmp_path, values, expected)) is kind


def test_a_sample_has_the_types_of_all_rows(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("x\n" + "1\n" * 5000 + "two\n")
    sample = read_dataset(str(path), None).sample(10, 0)
    assert set(sample.x) == {"1"}


def test_the_copy_goes_when_the_rows_do(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "c.csv", index=False)
    data = read_dataset(str(tmp_path / "c.csv"), None)
    assert list(tmp_path.glob("lifecycle-rows-*"))
    del data
    assert not list(tmp_path.glob("lifecycle-rows-*"))
