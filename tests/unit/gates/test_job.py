"""A job's subject loads each thing once, when a gate first asks for it."""

import json

import pandas as pd
import pytest

from lifecycle.domain.model import ModelVersion, Snapshot, TrackedData
from lifecycle.errors import LifecycleError
from lifecycle.gates.run import GateJob, subject_of

VERSION = (ModelVersion("m", 1), Snapshot("0" * 64, None))


def subject(**fields):
    return subject_of(GateJob((), "s", VERSION, **fields), lambda _: None)


@pytest.fixture
def rows(july):
    return july.head(300)


@pytest.fixture
def tracked(rows, tmp_path):
    rows.to_parquet(tmp_path / "reference.parquet")
    (tmp_path / "expectations.json").write_text('{"name": "s", "expectations": []}')
    return TrackedData(tmp_path / "reference.parquet", tmp_path / "expectations.json", "late")


def test_given_data_beats_the_source_that_a_gate_names(rows, tracked, tmp_path):
    rows.head(5).to_csv(tmp_path / "policy.csv", index=False)
    source = str(tmp_path / "policy.csv")
    assert subject(tracked=tracked, current=rows.head(3)).current(source).count == 3
    without = subject(tracked=tracked)
    assert without.current(source).count == 5
    assert without.current(source) is without.current(source)
    assert without.current() is None


def test_a_given_reference_beats_the_tracked_one(rows, tracked, tmp_path):
    assert subject(tracked=tracked).reference.count == 300
    assert subject(tracked=tracked, reference=rows.head(7)).reference.count == 7
    rows.head(8).to_parquet(tmp_path / "given.parquet")
    assert subject(tracked=tracked, reference=str(tmp_path / "given.parquet")).reference.count == 8


def test_a_csv_file_is_read_with_the_references_types(tracked, tmp_path):
    pd.DataFrame({"flight": ["0012", "0815"]}).to_parquet(tracked.reference)
    (tmp_path / "now.csv").write_text("flight\n0012\n4711\n")
    assert subject(tracked=tracked, current=str(tmp_path / "now.csv")).current().column("flight")[0] == "0012"


def test_fingerprints_are_those_of_what_was_looked_at(rows, tracked, tmp_path):
    for n in (4, 5):
        rows.head(n).to_csv(tmp_path / f"{n}.csv", index=False)
    asked = subject(tracked=tracked)
    assert asked.fingerprints() == {}
    reference = asked.reference
    asked.current(None)
    four, five = (asked.current(str(tmp_path / f"{n}.csv")) for n in (4, 5))
    assert asked.fingerprints() == {
        "reference": reference.fingerprint,
        "current": four.fingerprint,
        "current 2": five.fingerprint,
    }


def test_nothing_tracked_is_nothing_there():
    asked = subject()
    assert (asked.reference, asked.suite, asked.current(), asked.champion) == (None, None, None, None)


def test_a_suite_that_is_no_json_is_one_line(tracked):
    for content in ("{", json.dumps([])):
        tracked.suite.write_text(content)
        with pytest.raises(LifecycleError, match=r"expectations\.json"):
            _ = subject(tracked=tracked).suite
