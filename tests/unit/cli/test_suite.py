"""``lifecycle gate suite``: expectations are written, shown and compared in plain words."""

from __future__ import annotations

import json

import click
import numpy as np
import pandas as pd
import pytest

from lifecycle.cli.gate import suite
from lifecycle.errors import Conflict, NotFound, UsageError
from lifecycle.gates.data_quality.suite_diff import changes, demand_of

ROWS = pd.DataFrame(
    {
        "x": np.arange(200) / 7,
        "carrier": ["AA", "UA"] * 100,
        "flag": [True, False] * 100,
        "when": pd.date_range("2013-01-01", periods=200),
        "late": [True] * 200,
    }
)


@pytest.fixture
def run():
    """The command as the command line runs it: the exit code, or the error."""

    def call(*arguments):
        return suite.main([*arguments], obj=None, standalone_mode=False) or 0

    return call


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.parquet"
    ROWS.to_parquet(path)
    return str(path)


@pytest.fixture
def written(run, rows, tmp_path):
    path = tmp_path / "expectations.json"
    run("write", rows, "--label", "late", "-o", str(path))
    return path


def edited(path, change):
    """A copy with each expectation changed, or left out where that gives None."""
    suite = json.loads(path.read_text())
    suite["expectations"] = [new for e in suite["expectations"] if (new := change(e)) is not None]
    copy = path.with_name("edited.json")
    copy.write_text(json.dumps(suite))
    return str(copy)


# write


def test_it_writes_a_suite_of_all_columns_but_the_label(written):
    suite = json.loads(written.read_text())
    assert {e["kwargs"].get("column") for e in suite["expectations"]} == {None, "x", "carrier", "flag", "when"}
    assert suite["meta"] == {"derived_from_rows": 200}


def test_csv_and_a_folder_do_as_well_and_give_the_same(run, tmp_path, written, capsys):
    folder = tmp_path / "parts"
    folder.mkdir()
    for half, part in enumerate((ROWS.head(100), ROWS.tail(100))):
        part.to_parquet(folder / f"{half}.parquet")
    capsys.readouterr()
    run("write", str(folder), "--label", "late", "-o", "-")
    assert json.loads(capsys.readouterr().out) == json.loads(written.read_text())
    ROWS[["x"]].to_csv(tmp_path / "rows.csv", index=False)
    run("write", str(tmp_path / "rows.csv"), "-o", "-")
    assert json.loads(capsys.readouterr().out)["expectations"]


def test_a_file_that_exists_stays_unless_told_otherwise(run, rows, written):
    written.write_text("mine")
    with pytest.raises(Conflict, match="--force"):
        run("write", rows, "-o", str(written))
    assert written.read_text() == "mine"
    run("write", rows, "-o", str(written), "--force")
    assert json.loads(written.read_text())["expectations"]
    assert [p.name for p in written.parent.iterdir() if p.name.startswith(".")] == []


def test_it_says_what_to_do_next(run, rows, tmp_path, capsys):
    run("write", rows, "-o", str(tmp_path / "e.json"))
    assert f"lifecycle gate suite show {tmp_path / 'e.json'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["write", "gone.parquet", "-o", "-"], NotFound, "no such file"),
        (["write", "ROWS", "-o", "-", "--label", "laet"], UsageError, "did you mean 'late'"),
        (["write", "ROWS", "-o", "/no/such/folder/e.json"], UsageError, "cannot be written"),
        (["write", "EMPTY", "-o", "-"], UsageError, "no rows"),
        (["write", "ROWS"], click.UsageError, "--output"),
        (["show", "gone.json"], NotFound, "no such file"),
        (["show", "ROWS"], UsageError, "not a JSON file"),
        (["diff", "gone.json", "gone.json"], NotFound, "no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, rows, tmp_path, arguments, error, words):
    ROWS.head(0).to_parquet(tmp_path / "empty.parquet")
    places = {"ROWS": rows, "EMPTY": str(tmp_path / "empty.parquet")}
    with pytest.raises(error) as refused:
        run(*(places.get(each, each) for each in arguments))
    said = (
        refused.value.format_message() if isinstance(refused.value, click.ClickException) else str(refused.value)
    )
    assert words in said
    assert "\n" not in said


# show


def test_it_shows_each_demand_in_words(run, written, capsys):
    capsys.readouterr()
    assert run("show", str(written)) == 0
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    for expected in (
        ["table", "rows", "at least 1"],
        ["x", "is there", ""],
        ["x", "type", "numbers"],
        ["x", "not null", "in at least 98.0 % of the rows"],
        ["x", "values", "-14.2143 to 42.6429, in at least 99.0 % of the rows"],
        ["carrier", "categories", "2 (AA, UA), in at least 99.0 % of the rows"],
        ["carrier", "different values", "at least 2"],
        ["flag", "type", "true/false"],
        ["when", "type", "datetimes"],
    ):
        assert expected in lines


def test_as_json_it_is_the_suite_itself(run, written, capsys):
    capsys.readouterr()
    run("show", str(written), "--json")
    assert json.loads(capsys.readouterr().out) == json.loads(written.read_text())


@pytest.mark.parametrize(
    ("kind", "kwargs", "name", "words"),
    [
        ("column_max_to_be_between", {"max_value": 5, "strict_max": True}, "max", "less than 5"),
        ("column_mean_to_be_between", {"min_value": 1.5, "max_value": 1.5}, "mean", "1.5"),
        ("column_values_to_match_regex", {"regex": "^A", "mostly": 1}, "values to match regex", "regex: ^A"),
        ("column_values_to_be_of_type", {"type_": "Timestamp"}, "type", "datetimes with a time zone"),
        ("column_values_to_be_in_type_list", {"type_list": ["A", "B"]}, "type", "A, B"),
        ("table_row_count_to_equal", {"value": 1000}, "rows", "value: 1,000"),
        (
            "column_values_to_be_between",
            {"min_value": 0, "batch_id": "b", "result_format": "BASIC"},
            "values",
            "at least 0",
        ),
    ],
)
def test_other_expectations_have_words_too(kind, kwargs, name, words):
    demand = demand_of({"type": f"expect_{kind}", "kwargs": kwargs})
    assert (demand.name, demand.words) == (name, words)


def test_whatever_json_there_is_can_be_shown(run, tmp_path, capsys):
    odd = [
        None,
        5,
        "x",
        [],
        {},
        {"type": 3},
        {"type": "t", "kwargs": 3},
        {"type": "t", "kwargs": {"column": ["\x1b[31m"]}},
    ]
    (tmp_path / "odd.json").write_text(json.dumps({"expectations": odd}))
    assert run("show", str(tmp_path / "odd.json")) == 0
    assert "\x1b" not in capsys.readouterr().out


# diff


def test_a_suite_is_the_same_as_itself_in_another_order_and_under_another_name(run, written, capsys):
    suite = json.loads(written.read_text())
    suite |= {"name": "other", "id": "7", "expectations": suite["expectations"][::-1]}
    for expectation in suite["expectations"]:
        expectation["kwargs"].get("value_set", []).reverse()
        expectation |= {"meta": {"note": "mine"}, "id": "8"}
    other = written.with_name("other.json")
    other.write_text(json.dumps(suite))
    assert run("diff", str(written), str(other)) == 0
    assert "Both demand the same." in capsys.readouterr().out


def test_what_was_added_removed_and_changed_is_told_by_column(run, written, capsys):
    def change(e):
        kind, kwargs = e["type"], dict(e["kwargs"])
        if kind == "expect_column_median_to_be_between":
            return None
        if kind == "expect_column_values_to_be_in_set":
            kwargs |= {"value_set": ["AA", "WN", "B6"], "mostly": 0.5}
        if kind == "expect_column_stdev_to_be_between":
            kwargs |= {"max_value": 1000}
        if kind == "expect_table_row_count_to_be_between":
            return {"type": "expect_column_sum_to_be_between", "kwargs": {"column": "x", "min_value": 0}}
        return {"type": kind, "kwargs": kwargs}

    other = edited(written, change)
    capsys.readouterr()
    assert run("diff", str(written), other, "--json") == 1
    told = {(d["column"], d["expectation"], d["change"]): d["words"] for d in json.loads(capsys.readouterr().out)}
    assert told == {
        ("table", "rows", "removed"): "at least 1",
        ("x", "median", "removed"): "8.52857 to 19.9",
        ("x", "standard deviation", "changed"): "2.75615 to 24.8054 → 2.75615 to 1,000",
        ("x", "sum", "added"): "at least 0",
        ("carrier", "categories", "changed"): "2 new (WN, B6), 1 gone (UA); "
        "in at least 99.0 % of the rows → in at least 50.0 % of the rows",
    }
    assert run("diff", str(written), other) == 1
    assert "standard deviation" in capsys.readouterr().out


def test_of_two_on_the_same_column_each_is_compared_with_its_own():
    def suite(*maxima):
        return [
            {"type": "expect_column_max_to_be_between", "kwargs": {"column": "x", "max_value": m}} for m in maxima
        ]

    assert [(c.kind, c.words) for c in changes(suite(1, 2), suite(1, 3, 4))] == [
        ("changed", "at most 2 → at most 3"),
        ("added", "at most 4"),
    ]


# Model versions


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Two versions: one whose run tracked a reference, one whose run did not."""
    import mlflow

    from lifecycle.tracking import track

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("suites", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("suites")
    client = mlflow.MlflowClient()
    client.create_registered_model("m")
    for tracked in (True, False):
        with mlflow.start_run() as run:
            if tracked:
                track(ROWS, label="late")
        client.create_model_version("m", f"{run.info.artifact_uri}/model", run_id=run.info.run_id)
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_a_model_version_shows_and_compares_what_was_tracked_with_it(run, registered, written, capsys):
    capsys.readouterr()
    assert run("show", "models:/m/1", "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(written.read_text())
    assert run("diff", "models:/m/1", str(written)) == 0
    with pytest.raises(NotFound, match="logged no expectations"):
        run("show", "models:/m/2")
