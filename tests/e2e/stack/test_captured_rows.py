"""What a deployment was asked is what a gate can judge: capture, then ``lifecycle gate run --current``."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import psutil
import pytest

from lifecycle.processes.process import wait_until

pytestmark = pytest.mark.slow

POLICY = """
models:
  flights-delay:
    stages:
      staging: {stage: Staging, gates: [drift: {min_rows: 500}]}
"""


@pytest.fixture(scope="module")
def rows():
    """The very rows that the model was trained on."""
    file = Path(__file__).parents[3] / "projects" / "flights" / "flights.py"
    spec = importlib.util.spec_from_file_location("flights_data", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.flights(range(1, 2)).head(4000)[module.FEATURES]


@pytest.fixture
def deployment(stack):
    made = stack.lifecycle("deployments create --name seen -m models:/flights-delay/1 -C capture=1 --json")
    assert made.code == 0, made.err
    yield json.loads(made.out)
    stack.lifecycle("deployments delete --name seen")


def ask(deployment, frame) -> None:
    split = frame.to_dict(orient="split", index=False)
    body = orjson.dumps({"dataframe_split": split}, option=orjson.OPT_SERIALIZE_NUMPY)
    address = urlsplit(deployment["address"])
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()


def end_its_workers(deployment, folder) -> None:
    """They write what they hold, and others take their place."""
    before = len(list(folder.glob("*.parquet")))
    for worker in psutil.Process(deployment["figures"]["pid"]).children():
        os.kill(worker.pid, signal.SIGTERM)
    wait_until(lambda: len(list(folder.glob("*.parquet"))) > before, 30, "they write")


def test_the_drift_gate_judges_captured_rows(stack, deployment, rows, tmp_path):
    (tmp_path / "lifecycle.yaml").write_text(POLICY)
    config = {"LIFECYCLE_CONFIG": str(tmp_path / "lifecycle.yaml")}
    folder = Path(deployment["figures"]["captured"]) / "1"
    judge = f"gate run models:/flights-delay/1 --stage staging --only drift --json --current {folder}"

    ask(deployment, rows)
    end_its_workers(deployment, folder)
    judged = stack.lifecycle(judge, **config)
    assert judged.code == 0, judged.err + judged.out
    (verdict,) = json.loads(judged.out)["verdicts"]
    assert (verdict["outcome"], verdict["figures"]["current_rows"]) == ("PASSED", len(rows))
