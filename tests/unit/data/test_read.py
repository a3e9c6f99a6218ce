"""Whatever rows lie in, gates see the same rows, know them by their bytes, and say in one line what is wrong."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.data.read import check_source, read_dataset
from lifecycle.errors import NotFound, UsageError


@pytest.fixture
def rows(july):
    return july.head(300)


def same_values(left, right):
    pd.testing.assert_frame_equal(left.reset_index(drop=True), right.reset_index(drop=True), check_dtype=False)


def test_csv_and_parquet_give_the_same_rows_and_the_digest_of_their_bytes(rows, tmp_path):
    rows.to_csv(tmp_path / "r.csv", index=False)
    rows.to_parquet(tmp_path / "r.PARQUET")
    for path in tmp_path.iterdir():
        got = read_dataset(str(path), "late")
        same_values(got.whole(), rows)
        assert (got.count, got.columns) == (300, tuple(rows.columns))
        assert got.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
        assert "late" not in got.inputs
        assert got.has_labels
        for name in rows:
            pd.testing.assert_series_equal(
                got.column(name), rows[name].reset_index(drop=True), check_dtype=False, check_names=True
            )


@pytest.mark.parametrize("kind", ["parquet", "csv", "frame"])
def test_a_sample_is_of_the_rows_in_their_order_and_the_same_every_time_and_everywhere(rows, tmp_path, kind):
    rows = rows.reset_index(drop=True)
    if kind == "frame":
        data = dataset_from_frame(rows, "late")
    else:
        getattr(rows, f"to_{kind}")(tmp_path / f"r.{kind}", index=False)
        data = read_dataset(str(tmp_path / f"r.{kind}"), "late")
    first, again, other = data.sample(40, 1), data.sample(40, 1), data.sample(40, 2)
    same_values(first, again)
    assert not first.reset_index(drop=True).equals(other.reset_index(drop=True))
    same_values(first, dataset_from_frame(rows, "late").sample(40, 1))
    same_values(data.sample(1000, 0), rows)


def test_a_sample_of_a_large_file_spans_all_of_it(tmp_path):
    count = 500_000
    pa.parquet.write_table(pa.table({"n": np.arange(count)}), tmp_path / "n.parquet", row_group_size=90_000)
    drawn = read_dataset(str(tmp_path / "n.parquet"), None).sample(2000, 7).n.to_numpy()
    assert len(set(drawn)) == 2000
    assert (np.diff(drawn) > 0).all()
    assert (np.histogram(drawn, 10, (0, count))[0] > 100).all()


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("given", ["folder", "glob"])
def test_many_files_are_one_data_set(rows, tmp_path, kind, given):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    for name, part in (("a", rows[:100]), ("b", rows[100:250]), ("deep/c", rows[250:])):
        getattr(part, f"to_{kind}")(folder / f"{name}.{kind}", index=False)
    (folder / "_SUCCESS").touch()
    (folder / ".hidden.parquet").write_bytes(b"no Parquet")
    source = str(folder) if given == "folder" else f"{folder}/**/*.{kind}"
    data = read_dataset(source, "late")
    same_values(data.whole(), rows)
    before = data.fingerprint
    assert read_dataset(source, "late").fingerprint == before
    getattr(rows[:50], f"to_{kind}")(folder / f"a.{kind}", index=False)
    assert read_dataset(source, "late").fingerprint != before


def test_folders_named_by_a_value_are_a_column(rows, tmp_path):
    for month in (6, 7):
        (tmp_path / "data" / f"month={month}").mkdir(parents=True)
        rows.to_parquet(tmp_path / "data" / f"month={month}" / "part-0.parquet", index=False)
    data = read_dataset(str(tmp_path / "data"), "late")
    assert sorted(data.column("month").unique()) == [6, 7]
    assert "month" in data.whole()


def test_numbers_of_several_widths_are_one_column_and_other_types_are_refused_by_name(tmp_path):
    pd.DataFrame({"x": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"x": [0.5]}).to_parquet(tmp_path / "b.parquet")
    assert read_dataset(str(tmp_path), None).column("x").tolist() == [1, 2, 0.5]
    pd.DataFrame({"x": ["hush"]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(UsageError, match=r"column 'x' is .*string in c\.parquet and int64 in a\.parquet"):
        read_dataset(str(tmp_path), None)
    pd.DataFrame({"y": [1]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(UsageError, match=r"c\.parquet and a\.parquet do not have the same columns \(see 'x'\)"):
        read_dataset(str(tmp_path), None)


def test_files_that_change_while_they_are_read_are_not_judged_as_one(rows, tmp_path):
    path = tmp_path / "r.parquet"
    rows.to_parquet(path)
    data = read_dataset(str(path), "late")
    rows.head(7).to_parquet(path)
    for read in (lambda: data.fingerprint, lambda: data.column("hour"), data.whole):
        with pytest.raises(UsageError, match="changed while it was being read"):
            read()


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("gone.csv", None, NotFound, "no such file"),
        ("r.xlsx", b"PK", UsageError, "known: .parquet, .csv"),
        ("r.csv", b"", UsageError, "empty"),
        ("r.parquet", b"", UsageError, "empty"),
        ("r.parquet", b"hush, this is no Parquet", UsageError, "not a readable parquet file"),
        ("r.csv", b'a,b\n1,2\n"hush\n1,2,3', UsageError, "not a readable csv file"),
        ("r.csv", b"a,b\n1,2\n3\n", UsageError, "not a readable csv file"),
        ("r.csv", b"a\n\xff\xfe\xba\xad", UsageError, "not a readable csv file"),
        ("r.csv", b"a,b,a\n1,2,3\n", UsageError, "column 'a' occurs twice"),
        ("folder.csv", "folder", NotFound, "no .parquet or .csv file there"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_the_file_and_no_content(tmp_path, name, content, error, words):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=name) as refused:
        read_dataset(str(path), None)
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_of_two_kinds_are_not_one_data_set(rows, tmp_path):
    rows.to_parquet(tmp_path / "a.parquet")
    rows.to_csv(tmp_path / "b.csv")
    with pytest.raises(UsageError, match=r"holds \.csv and \.parquet files"):
        check_source(str(tmp_path))


def test_a_frame_is_known_by_its_columns_types_and_values(rows):
    def fingerprint(frame):
        return dataset_from_frame(frame, "late").fingerprint

    same = fingerprint(rows)
    assert fingerprint(rows.copy().set_index(rows.index + 7)) == same
    others = [
        rows.head(299),
        rows[::-1],
        rows.assign(hour=rows.hour + 1),
        rows.assign(hour=rows.hour.astype(float)),
        rows.rename(columns={"hour": "stunde"}),
        rows[rows.columns[::-1]],
        rows.assign(hour=[[h] for h in rows.hour]),
    ]
    assert len({same, *map(fingerprint, others)}) == 1 + len(others)


@pytest.mark.parametrize("columns", [["a", "a"], ["a", 1]])
def test_columns_that_cannot_be_told_apart_are_refused(columns):
    with pytest.raises(UsageError):
        dataset_from_frame(pd.DataFrame([[1, 2]], columns=columns), None)
