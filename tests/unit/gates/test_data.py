import hashlib

import pandas as pd
import pytest

from lifecycle.domain.model_version import TrackedData
from lifecycle.errors import LifecycleError, NotFound, UsageError
from lifecycle.gates.data import dataset_from_frame, read_dataset, subject_for


@pytest.fixture
def rows(july):
    return july.head(300)


def test_csv_and_parquet_give_the_same_rows_and_the_digest_of_their_bytes(rows, tmp_path):
    rows.to_csv(tmp_path / "r.csv", index=False)
    rows.to_parquet(tmp_path / "r.PARQUET", index=False)
    for path in tmp_path.iterdir():
        got = read_dataset(str(path), "late")
        pd.testing.assert_frame_equal(got.frame, rows)
        assert got.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()
        assert "late" not in got.inputs
        assert got.labels.equals(rows.late)


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("gone.csv", None, NotFound, "no such file"),
        ("r.xlsx", b"PK", UsageError, "known: .csv, .parquet"),
        ("r.csv", b"", UsageError, "empty"),
        ("r.parquet", b"", UsageError, "empty"),
        ("r.parquet", b"hush, this is no Parquet", UsageError, "not a readable parquet file"),
        ("r.csv", b'a,b\n1,2\n"hush\n1,2,3', UsageError, "not a readable csv file"),
        ("r.csv", b"a\n\xff\xfe\xba\xad", UsageError, "not a readable csv file"),
        ("folder.csv", "folder", UsageError, "cannot be read"),
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
    ]
    assert len({same, *map(fingerprint, others)}) == 1 + len(others)


@pytest.mark.parametrize("columns", [["a", "a"], ["a", 1]])
def test_columns_that_cannot_be_told_apart_are_refused(columns):
    with pytest.raises(UsageError):
        dataset_from_frame(pd.DataFrame([[1, 2]], columns=columns), None)


@pytest.fixture
def tracked(rows, tmp_path):
    rows.to_parquet(tmp_path / "reference.parquet")
    (tmp_path / "expectations.json").write_text('{"name": "s", "expectations": []}')
    return TrackedData(tmp_path / "reference.parquet", tmp_path / "expectations.json", "late")


def test_given_data_beats_the_source_that_a_gate_names(rows, tracked, tmp_path):
    rows.head(5).to_csv(tmp_path / "policy.csv", index=False)
    source = str(tmp_path / "policy.csv")
    given = dataset_from_frame(rows.head(3), "late")
    assert subject_for(None, "s", tracked, given, lambda: None).current(source) is given
    without = subject_for(None, "s", tracked, None, lambda: None)
    assert len(without.current(source).frame) == 5
    assert without.current(source) is without.current(source)
    assert without.current() is None


def test_fingerprints_are_those_of_what_was_looked_at(rows, tracked, tmp_path):
    for n in (4, 5):
        rows.head(n).to_csv(tmp_path / f"{n}.csv", index=False)
    subject = subject_for(None, "s", tracked, None, lambda: None)
    assert subject.fingerprints() == {}
    reference = subject.reference
    subject.current(None)
    four, five = (subject.current(str(tmp_path / f"{n}.csv")) for n in (4, 5))
    assert subject.fingerprints() == {
        "reference": reference.fingerprint,
        "current": four.fingerprint,
        "current 2": five.fingerprint,
    }


def test_nothing_tracked_is_nothing_there(tracked):
    subject = subject_for(None, "s", None, None, lambda: None)
    assert (subject.reference, subject.suite, subject.current()) == (None, None, None)


def test_a_suite_that_is_no_json_is_one_line(tracked):
    for content in ("{", "[]"):
        tracked.suite.write_text(content)
        with pytest.raises(LifecycleError, match=r"expectations\.json"):
            _ = subject_for(None, "s", tracked, None, lambda: None).suite
