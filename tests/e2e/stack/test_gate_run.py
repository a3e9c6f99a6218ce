"""``lifecycle gate run`` as a user types it: every exit code, what it writes, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

VERSION = "models:/flights-delay/2"
POLICY = """
models:
  flights-delay:
    stages:
      staging:
        stage: Staging
        gates: [signature, safety, drift: {{min_rows: 100}}, data_quality: {{suite: {suite}}}]
      production: {{stage: Production, alias: champion, max_attempts: 1, gates: [signature]}}
"""


@pytest.fixture
def config(stack, tmp_path):
    """A policy of our own, with a suite that Great Expectations does not know."""
    suite = tmp_path / "suite.json"
    suite.write_text(
        json.dumps({"name": "s", "expectations": [{"type": "expect_column_to_be_nice", "kwargs": {}}]})
    )
    (tmp_path / "lifecycle.yaml").write_text(POLICY.format(suite=suite.name))
    return {"LIFECYCLE_CONFIG": str(tmp_path / "lifecycle.yaml")}


@pytest.fixture
def rows(stack, tmp_path):
    """More rows than the twenty that lie in the stack's folder: those, again and again."""
    frame = pd.concat([pd.read_parquet(stack.home / "rows.parquet")] * 10)
    frame.to_parquet(tmp_path / "rows.parquet")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "outcome"),
    [
        ("--only signature --only safety", 0, "PASSED"),
        ("--only drift --current {rows}/rows.parquet", 1, "FAILED"),
        ("--only drift --current {rows}/rows.csv", 1, "FAILED"),
        ("--only drift", 3, "INCONCLUSIVE"),
        ("--only data_quality --current {rows}/rows.parquet", 4, "ERROR"),
    ],
)
def test_the_exit_code_says_how_it_went(stack, config, rows, words, code, outcome):
    done = stack.lifecycle(f"gate run {VERSION} --stage staging --json {words.format(rows=rows)}", **config)
    assert done.code == code, done.err
    assert json.loads(done.out)["outcome"] == outcome


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--colour red", 2, "--colour"),
        ("--junit /no/such/folder/j.xml", 2, "no such folder"),
        ("--only drfit", 5, "did you mean 'drift'"),
        ("--current nowhere.parquet", 5, "no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_runs_no_gate(stack, config, words, code, said):
    stack.lifecycle(f"gate run {VERSION} --stage staging {words}", **config).refused(code, said)


def test_a_look_leaves_no_evidence_and_uses_no_attempt_but_a_run_does(stack, config):
    run = f"gate run {VERSION} --stage production --json"
    for words, attempt in (("--only signature", 0), ("", 1)):
        done = stack.lifecycle(f"{run} {words}", **config)
        assert (done.code, json.loads(done.out)["attempt"]) == (0, attempt)
    stack.lifecycle(run, **config).refused(1, "max_attempts is 1. Register a new version")


def test_machines_get_json_and_files_while_people_see_each_gate_finish(stack, config, tmp_path):
    junit, markdown = tmp_path / "gates.xml", tmp_path / "gates.md"
    done = stack.lifecycle(
        f"gate run {VERSION} --stage staging --only safety --json --junit {junit} --markdown {markdown}", **config
    )
    (verdict,) = json.loads(done.out)["verdicts"]
    assert verdict["gate"] == "safety"
    assert "PASSED" in done.err
    assert Path(junit).read_text().startswith("<?xml")
    assert "safety" in markdown.read_text()
