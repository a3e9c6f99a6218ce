"""Somebody else's gate, in a package of its own: found, explained, held to the contract, and run like ours."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.domain.policy import GateSpec
from lifecycle.gates.run import GateJob, Progress
from lifecycle.gates.subject import Subject
from lifecycle.gates.subprocess_runner import run_isolated
from lifecycle.testing.gate_contract import GateContract

PACKAGE = Path(__file__).parents[1] / "examples" / "freshness_gate"
ROWS = pd.DataFrame({"at": pd.to_datetime(["2013-07-01", "2013-07-31"]), "x": [1.0, 2.0]})

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The package as pip installs it, beside the product."""
    target = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        str(PACKAGE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))


def test_it_is_listed_with_what_it_says_of_itself(installed):
    done = subprocess.run(
        [Path(sys.executable).with_name("lifecycle"), "gate", "list"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Demands that the newest of the current rows is fresh." in done.stdout
    assert "max_age_days" in done.stdout


@pytest.mark.parametrize(("days", "outcome"), [(1, "FAILED"), (1e6, "PASSED")])
def test_it_runs_where_all_gates_run(installed, days, outcome):
    spec = GateSpec("freshness", {"column": "at", "max_age_days": days})
    job = GateJob((spec,), "production", (ModelVersion("m", 1), Snapshot("0" * 64, PACKAGE)), current=ROWS)
    (verdict,) = run_isolated(job, Progress()).verdicts
    assert verdict.outcome == outcome
    assert json.dumps(verdict.as_dict())


class TestFreshnessGate(GateContract):
    @pytest.fixture
    def gate(self, installed):
        cls = importlib.import_module("freshness_gate").FreshnessGate
        return cls(cls.Options(column="at", max_age_days=1e6, min_rows=2))

    @pytest.fixture
    def subject(self):
        rows = dataset_from_frame(ROWS, None)
        return Subject(None, "production", lambda: rows, lambda _: rows, lambda: None, lambda: None)
