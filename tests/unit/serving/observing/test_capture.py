"""What was asked and answered, as files that a gate can read: no more than allowed, and in nobody's way."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import datetime

import pyarrow.parquet as pq
import pytest

from lifecycle.data.read import read_dataset

HEADERS = [(b"x-request-id", b"order-17")]


@pytest.fixture
def kept(tmp_path):
    """The captured rows of a version, as the gates read them."""

    def kept(site, version: int = 1):
        site.close()
        return read_dataset(str(tmp_path / "captured" / "names" / str(version)), None).whole()

    return kept


def files(folder):
    return sorted((folder / "captured").rglob("*.parquet"))


def test_inputs_predictions_and_who_answered(start, kept):
    site = start(capture=1.0)
    site.ask({"inputs": {"name": ["a", "bcd"], "more": [0.5, None]}}, headers=HEADERS)
    site.score("four")
    rows = kept(site)
    assert rows["name"].tolist() == ["a", "bcd", "four"]
    assert rows["more"].tolist()[::2] == [0.5, 0.5]
    assert math.isnan(rows["more"][1])
    assert rows["_lifecycle_prediction"].tolist()[::2] == [1.5, 4.5]
    assert rows["_lifecycle_version"].tolist() == [1, 1, 1]
    assert rows["_lifecycle_request_id"].tolist()[:2] == ["order-17", "order-17"]
    assert str(rows["_lifecycle_time"].dtype).startswith("datetime64")
    assert set(rows.columns) == {
        "name",
        "more",
        *(f"_lifecycle_{column}" for column in ("prediction", "time", "request_id", "version")),
    }


def test_a_file_says_which_bytes_answered(start, tmp_path):
    site = start(capture=1.0)
    site.score("a")
    site.close()
    (file,) = files(tmp_path)
    told = {key.decode(): value.decode() for key, value in pq.read_schema(file).metadata.items()}
    assert (told["lifecycle.model"], told["lifecycle.digest"]) == ("name-lengths", "ab" * 32)


def test_each_version_has_a_folder_of_its_own(start, kept):
    site = start(capture=1.0)
    site.score("a")
    site.serve(2)
    site.score("b", "c")
    assert kept(site, 1)["name"].tolist() == ["a"]
    assert kept(site, 2)["name"].tolist() == ["b", "c"]


def test_masked_columns_are_null_and_keep_their_type(start, kept, tmp_path):
    site = start(capture=1.0, capture_mask=["name", "_lifecycle_prediction"])
    site.score("hunter2")
    rows = kept(site)
    assert rows["name"].isna().all()
    assert rows["_lifecycle_prediction"].isna().all()
    (file,) = files(tmp_path)
    assert [str(pq.read_schema(file).field(c).type) for c in ("name", "more")] == ["string", "double"]
    assert b"hunter2" not in file.read_bytes()


def test_a_slip_in_the_mask_lets_nothing_through(start, tmp_path, caplog):
    site = start(capture=1.0, capture_mask=["nome"])
    assert site.score("hunter2")[0] == 200
    site.close()
    assert files(tmp_path) == []
    assert "'nome'" in caplog.text
    assert site.figures()["lifecycle_capture_dropped_requests_total", "failed"] == 1


def test_a_share_is_a_share(start, kept):
    site = start(capture=0.5)
    for _ in range(300):
        site.score("a")
    assert 90 < len(kept(site)) < 210  # further off once in 10^11 times


def test_nothing_is_captured_unless_asked_for_nor_of_a_refusal(start, tmp_path):
    site = start()
    site.score("a")
    site.change(capture=1.0)
    site.ask({"inputs": {"nome": ["a"]}})
    site.score("break")
    site.close()
    assert files(tmp_path) == []


def test_the_disk_holds_no_more_than_allowed_and_the_oldest_goes_first(start, tmp_path, kept):
    for number in range(6):
        site = start(capture=1.0, capture_mb=0.01)
        site.score(*(f"{number}-{i}" for i in range(200)))
        site.close()
        assert sum(file.stat().st_size for file in files(tmp_path)) <= 0.01 * 2**20
    rounds = sorted({name[0] for name in kept(site)["name"]})
    assert rounds == ["0", "1", "2", "3", "4", "5"][-len(rounds) :]
    assert len(rounds) < 6
    assert site.figures()["lifecycle_captured_rows_total",] == 1200


def test_when_the_writer_is_behind_requests_are_dropped_and_counted(start, monkeypatch):
    monkeypatch.setattr("lifecycle.serving.observing.capture._MOST_REQUESTS", 0)
    site = start(capture=1.0)
    assert site.score("a")[0] == 200
    assert site.figures()["lifecycle_capture_dropped_requests_total", "busy"] == 1


def test_a_disk_that_cannot_be_written_costs_captured_rows_only(start, tmp_path):
    (tmp_path / "captured").mkdir()
    (tmp_path / "captured" / "names").write_text("a file where a folder should be")
    site = start(capture=1.0)
    assert site.score("a")[0] == 200
    site.close()
    assert site.figures()["lifecycle_capture_dropped_requests_total", "failed"] == 1


def test_workers_write_beside_each_other(start, kept):
    one, other = start(capture=1.0), start(capture=1.0)
    one.score("a")
    other.score("b")
    other.close()
    assert sorted(kept(one)["name"]) == ["a", "b"]


IMPORTS = """
import sys
import numpy as np
import pyarrow.parquet as pq
import pyarrow as pa
from lifecycle.serving.observing.arrow_columns import arrow_of
columns = {
    "text": np.array(["a", None, "\u00fc"], object),
    "number": np.array([1.0, np.nan, 3.0]),
    "whole": np.array([1.0, np.nan, 3.0]),
    "flag": np.array([True, None, False], object),
    "time": np.array(["2026-01-01", "NaT", "2026-01-02"], "datetime64[ns]"),
}
types = {"text": "O", "number": "f8", "whole": "i8", "flag": "?", "time": "M8[ns]"}
arrays = [arrow_of(values, np.dtype(types[name])) for name, values in columns.items()]
pq.write_table(pa.Table.from_arrays(arrays, list(columns)), sys.argv[1], compression="zstd")
assert "pandas" not in sys.modules
"""


def test_every_kind_of_column_survives_without_pandas_in_the_worker(tmp_path):
    file = tmp_path / "all.parquet"
    subprocess.run([sys.executable, "-c", IMPORTS, str(file)], check=True)
    days = [datetime(2026, 1, 1), None, datetime(2026, 1, 2)]
    assert pq.read_table(file).to_pydict() == {
        "text": ["a", None, "ü"],
        "number": [1.0, None, 3.0],
        "whole": [1, None, 3],
        "flag": [True, None, False],
        "time": days,
    }
