"""What an operator sees of a running server with two workers: /metrics, its log, and the captured rows."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lifecycle.data.read import read_dataset
from lifecycle.processes.process import owned_by_me, wait_until
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
CARRIER = "hush"  # the value of a masked column
OPTIONS = {"workers": "2", "access_log": "json", "capture": "1", "capture_mask": "carrier"}


class Operated:
    """A deployment, and what its operator reads."""

    def __init__(self, deployment, folder, rows) -> None:
        self.address = urlsplit(deployment.address)
        self.pid = deployment.figures["pid"]
        self.digest = deployment.digest
        self.folder = folder
        content = {name: values.tolist() for name, values in rows.items()}
        content["carrier"] = [CARRIER] * len(content["carrier"])
        self.body, self.rows = json.dumps({"inputs": content}), len(content["carrier"])

    def ask(self, method="GET", path="/metrics", body=None, headers=None) -> tuple[int, bytes]:
        """Over a connection of its own, so that either worker may answer."""
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def score(self, times: int) -> None:
        for _ in range(times):
            assert self.ask("POST", "/invocations", self.body)[0] == 200

    def figures(self) -> dict[tuple[str, ...], float]:
        text = self.ask()[1].decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def scored(self) -> float:
        return self.figures().get(("lifecycle_requests_total", "200", "flights", "mlflow"), 0)

    def workers(self) -> list[int]:
        return sorted(child.pid for child in psutil.Process(self.pid).children())

    def starts(self) -> float:
        return self.figures()["lifecycle_worker_starts_total",]

    def ready_workers(self) -> int:
        return sum(value for key, value in self.figures().items() if key[0] == "lifecycle_ready")


@pytest.fixture(scope="module")
def operated(lifecycle_models, tmp_path_factory):
    home, model = tmp_path_factory.mktemp("operated"), lifecycle_models[0]
    target = RestTarget(folder_context(home))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        deployment = target.deploy(model.spec("flights", OPTIONS))
        yield Operated(deployment, home / "deployments" / "rest" / "flights", model.rows)
        target.undeploy("flights")


def test_no_count_is_lost_or_doubled_when_workers_are_killed(operated):
    for round_ in range(1, 4):
        operated.score(20)
        assert operated.scored() == 20 * round_
        victim = operated.workers()[round_ % 2]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda starts=2 + round_: operated.starts() == starts, 60, "the killed worker is replaced")
        wait_until(lambda: operated.ready_workers() == 2, 60, "its replacement is ready")
        assert {operated.scored() for _ in range(6)} == {20.0 * round_}  # whichever is asked


def test_the_model_and_its_workers_are_named(operated):
    figures = operated.figures()
    infos = [set(key) for key in figures if key[0] == "lifecycle_model_info"]
    assert len(infos) == 2
    assert all({"flights", "flights-delay", "1", operated.digest, "compiled"} <= info for info in infos)
    assert figures["lifecycle_worker_resident_memory_bytes", "0"] > 2**20


def test_every_metric_of_the_dashboard_and_the_alerts_is_there(operated):
    places = [DOCS / "grafana" / name for name in ("rest.json", "alerts.yml")]
    asked = {name for place in places for name in re.findall(r"\blifecycle_[a-z_]+", place.read_text())}
    shown = set(re.findall(r"^# TYPE (\w+)", operated.ask()[1].decode(), re.MULTILINE))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} <= shown


def test_the_log_has_a_line_of_json_for_every_request_and_no_value(operated):
    operated.ask("POST", "/invocations", operated.body, {"X-Request-Id": "order-17"})
    log = operated.folder / "server.log"

    def of_request() -> list[dict]:
        lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "order-17" in line]
        return [json.loads(line) for line in lines]

    wait_until(lambda: len(of_request()) == 1, 10, "the line is written")
    (line,) = of_request()
    assert (line["status"], line["version"], line["rows"]) == (200, 1, operated.rows)
    assert CARRIER not in log.read_text(encoding="utf-8")


def test_captured_rows_are_data_for_the_gates(operated, lifecycle_models):
    """Last, since the workers write what they hold when they end."""
    before = operated.figures()
    for pid in operated.workers():
        os.kill(pid, signal.SIGTERM)
    folder = operated.folder / "captured" / "flights" / "1"
    scored = operated.scored()
    wait_until(lambda: list(folder.glob("*.parquet")) and operated.ready_workers() == 2, 20, "it is written")
    rows = read_dataset(str(folder), None).whole()
    assert 0 < len(rows) <= scored * operated.rows
    assert rows["carrier"].isna().all()
    assert set(rows["dep_delay"].dropna()) <= set(lifecycle_models[0].rows["dep_delay"].tolist())
    assert rows["_lifecycle_prediction_0"].notna().all()  # its answer has a row of two probabilities
    observed = RestTarget(folder_context(operated.folder.parents[2])).observations("flights")
    assert observed.location == str(folder.parent)
    batches = list(observed)
    assert sum(batch.num_rows for batch in batches) == len(rows)
    assert {version for batch in batches for version in batch.column("_lifecycle_version").to_pylist()} == {1}
    assert operated.figures()["lifecycle_captured_rows_total",] == len(rows)
    assert before.keys() <= operated.figures().keys()
