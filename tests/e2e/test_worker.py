"""A refused promotion queues its gates; ``lifecycle worker`` runs them, and what was asked for happens."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from lifecycle.errors import Unavailable
from lifecycle.processes.process import (
    ProcessId,
    free_port,
    is_alive,
    owned_by_me,
    spawn_detached,
    stop,
    wait_until,
)
from lifecycle.registry.location import check_reachable
from tests import commands

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:.*transition_model_version_stage.*deprecated:FutureWarning"),
]

HANGS_S = 180
POLICY = """
models:
  wine:
    stages:
      staging: {stage: Staging, gates: [signature], on_missing: enqueue}
      production: {stage: Production, alias: champion, gates: [signature], on_missing: enqueue, auto_promote: true}
  beer:
    stages:
      production: {stage: Production, gates: [signature], on_missing: enqueue}
"""
ADMIN, ADA = ("admin", "correct-horse-battery"), ("ada", "lovelace-lovelace")


@dataclass(frozen=True)
class Cellar:
    """A guarded server where people sign in, a model whose versions fit, and one that lacks a signature."""

    home: Path
    url: str

    def environment(self, user: tuple[str, str] = ADMIN) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "LIFECYCLE_"))}
        return (
            ours
            | owned_by_me()
            | {
                "LIFECYCLE_HOME": str(self.home),
                "LIFECYCLE_CONFIG": str(self.home / "lifecycle.yaml"),
                "MLFLOW_TRACKING_URI": self.url,
                "MLFLOW_TRACKING_USERNAME": user[0],
                "MLFLOW_TRACKING_PASSWORD": user[1],
                "MLFLOW_DISABLE_TELEMETRY": "true",
            }
        )

    def lifecycle(self, *words: str) -> subprocess.CompletedProcess[str]:
        return commands.run(["-m", "lifecycle.cli", *words], self.home, self.environment(), HANGS_S)

    def once(self) -> list[dict[str, object]]:
        """What ``lifecycle worker --once`` did."""
        done = self.lifecycle("worker", "--once", "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def end_leases(self) -> None:
        """As if two minutes had gone by at the registry."""
        with closing(sqlite3.connect(self.home / "mlflow.db", timeout=30)) as connection, connection:
            connection.execute(
                "update lifecycle_queue set leased_until = '2026-01-01 00:00:00' where finished_at is null"
            )


@pytest.fixture(scope="module")
def cellar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cellar]:
    home = tmp_path_factory.mktemp("cellar")
    cellar = Cellar(home, f"http://127.0.0.1:{free_port()}")
    (home / "lifecycle.yaml").write_text(POLICY)
    (home / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = MANAGE\nadmin_username = {ADMIN[0]}\n"
        f"database_uri = sqlite:///{home / 'auth.db'}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        "auth_cache_ttl_seconds = 600\n"  # to check a password takes a tenth of a second, with each request
    )
    server = _serve(cellar)
    try:
        _sign_up(cellar, ADA)
        with pytest.MonkeyPatch.context() as patch:
            _sign_in(patch, cellar, ADMIN)
            _register(cellar)
        yield cellar
    finally:
        stop(server)


@pytest.fixture
def ada(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """MLflow's own client, signed in as ada, who knows nothing of us."""
    _sign_in(monkeypatch, cellar, ADA)
    return MlflowClient(cellar.url, cellar.url)


def _serve(cellar: Cellar) -> ProcessId:
    database = f"sqlite:///{cellar.home / 'mlflow.db'}"
    server = spawn_detached(
        [
            *(sys.executable, "-P", "-m", "lifecycle.processes.supervise", "--"),
            *(sys.executable, "-P", "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", cellar.url.rpartition(":")[2], "--workers", "1", "--app-name", "basic-auth"),
            *("--backend-store-uri", database, "--registry-store-uri", f"lifecycle+{database}"),
            *("--artifacts-destination", str(cellar.home / "artifacts")),
        ],
        cellar.home / "server.log",
        cellar.environment()
        | {
            "MLFLOW_AUTH_CONFIG_PATH": str(cellar.home / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": ADMIN[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "for the forms of the sign-up page",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        },
    )

    def answers() -> bool:
        assert is_alive(server), (cellar.home / "server.log").read_text()[-2000:]
        try:
            check_reachable(cellar.url)
        except Unavailable:
            return False
        return True

    wait_until(answers, 120, "the server answers")
    return server


def _sign_up(cellar: Cellar, user: tuple[str, str]) -> None:
    from mlflow.server.auth.client import AuthServiceClient

    with pytest.MonkeyPatch.context() as patch:
        _sign_in(patch, cellar, ADMIN)
        AuthServiceClient(cellar.url).create_user(*user)


def _sign_in(patch: pytest.MonkeyPatch, cellar: Cellar, user: tuple[str, str]) -> None:
    for variable, value in cellar.environment(user).items():
        if variable.startswith(("MLFLOW_", "LIFECYCLE_")):
            patch.setenv(variable, value)


def _register(cellar: Cellar) -> None:
    """Versions 1 and 3 of wine, and 1 of beer, have a signature; version 2 of wine has none."""
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = pd.DataFrame({"acid": [0.1, 0.9, 0.2, 0.8], "sugar": [1.0, 0.0, 0.9, 0.2]})
    model = LogisticRegression().fit(rows, [0, 1, 0, 1])
    signature = infer_signature(rows, model.predict(rows))
    save = partial(mlflow.sklearn.save_model, model, pip_requirements=["scikit-learn"])
    save(
        cellar.home / "signed",
        signature=signature,
        input_example=rows.head(1),
        skops_trusted_types=["numpy.dtype"],
    )
    save(cellar.home / "unsigned", skops_trusted_types=["numpy.dtype"])
    client = MlflowClient(cellar.url, cellar.url)
    for name, folder in (("wine", "signed"), ("wine", "unsigned"), ("wine", "signed"), ("beer", "signed")):
        run = client.create_run("0")
        client.log_artifacts(run.info.run_id, str(cellar.home / folder), "model")
        with suppress(MlflowException):
            client.create_registered_model(name)
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(name, source, run.info.run_id, await_creation_for=None)


def refused(client: MlflowClient, model: str, version: int, stage: str = "Production") -> str:
    with pytest.raises(MlflowException) as caught:
        client.transition_model_version_stage(model, str(version), stage)
    assert caught.value.error_code == "PERMISSION_DENIED"
    return str(caught.value.message)


def ledger(cellar: Cellar, version: int, stage: str = "production") -> list[tuple[str, str]]:
    with closing(sqlite3.connect(cellar.home / "mlflow.db", timeout=30)) as connection:
        rows = connection.execute("select entry from lifecycle_ledger order by sequence").fetchall()
    entries = [entry for (text,) in rows if (entry := json.loads(text))["model"] == "wine"]
    return [(e["action"], e["actor"]) for e in entries if (e["version"], e["stage"]) == (version, stage)]


def test_a_refused_click_becomes_a_promotion_in_the_name_of_who_clicked(cellar, ada):
    assert cellar.once() == []
    words = refused(ada, "wine", 1)
    assert "its gates are queued, a lifecycle worker runs them, and promotes it if they pass" in words
    refused(ada, "wine", 1)
    assert ada.get_model_version("wine", "1").tags["lifecycle.queue.production"] == "QUEUED"
    (done,) = cellar.once()
    assert (done["model"], done["version"], done["outcome"], done["promoted"]) == ("wine", 1, "PASSED", True)
    version = ada.get_model_version("wine", "1")
    assert (version.current_stage, ada.get_model_version_by_alias("wine", "champion").version) == (
        "Production",
        "1",
    )
    assert "lifecycle.queue.production" not in version.tags
    assert version.tags["lifecycle.production"].startswith("PASSED ")
    assert "production: PASSED" in version.description
    assert ada.get_run(done["run_id"]).data.tags["lifecycle.outcome"] == "PASSED"
    assert ledger(cellar, 1) == [("REFUSED", "ada"), ("REFUSED", "ada"), ("PROMOTED", "ada")]
    assert cellar.once() == []


def test_gates_that_fail_are_shown_and_leave_the_version_where_it_is(cellar, ada):
    refused(ada, "wine", 2)
    (done,) = cellar.once()
    assert (done["outcome"], done["promoted"]) == ("FAILED", False)
    version = ada.get_model_version("wine", "2")
    assert version.current_stage == "None"
    assert version.tags["lifecycle.production"].startswith("FAILED ")
    assert "not passed: signature (FAILED)" in refused(ada, "wine", 2)
    assert cellar.once() == []


def test_without_auto_promote_it_stays_and_a_second_click_goes_through(cellar, ada):
    assert "then ask again" in refused(ada, "wine", 3, "Staging")
    (done,) = cellar.once()
    assert (done["outcome"], done["promoted"]) == ("PASSED", False)
    assert ada.get_model_version("wine", "3").current_stage == "None"
    ada.transition_model_version_stage("wine", "3", "Staging")
    assert ada.get_model_version("wine", "3").current_stage == "Staging"
    assert ledger(cellar, 3, "staging") == [("REFUSED", "ada"), ("PROMOTED", "ada")]


def test_gates_that_cannot_be_run_say_why_on_the_version(cellar, ada):
    refused(ada, "beer", 1)
    (cellar.home / "other.yaml").write_text(
        "models: {beer: {stages: {staging: {stage: Staging, gates: [safety]}}}}"
    )
    done = cellar.lifecycle("--config", "other.yaml", "worker", "--once")
    assert done.returncode == 4
    assert "models:/beer/1 for production: no verdict; unknown stage 'production'" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: some gate runs could not be started")
    shown = ada.get_model_version("beer", "1").tags["lifecycle.queue.production"]
    assert shown == "QUEUED, could not be run (1 of 3 tries): unknown stage 'production'. Known: staging"
    cellar.end_leases()
    assert [done["outcome"] for done in cellar.once()] == ["PASSED"]


def test_killed_in_the_middle_another_finishes_it_after_the_lease_and_told_to_stop_at_once(cellar, ada):
    refused(ada, "wine", 3)

    def shown() -> str:
        """The tag as the database has it: a gate run may be over before a server has answered twice."""
        with closing(sqlite3.connect(cellar.home / "mlflow.db", timeout=30)) as connection:
            found = connection.execute(
                "select value from model_version_tags where name = 'wine' and version = 3"
                " and key = 'lifecycle.queue.production'"
            ).fetchone()
        return found[0] if found else ""

    told = _running_worker(cellar, "told", shown)
    told.terminate()
    assert told.wait(60) == 0
    assert shown() == "QUEUED"

    killed = _running_worker(cellar, "killed", shown)
    killed.kill()
    killed.wait(60)
    assert cellar.once() == []
    assert shown().startswith("RUNNING by killed:")

    cellar.end_leases()
    (done,) = cellar.once()
    assert (done["version"], done["promoted"]) == (3, True)
    assert ada.get_model_version("wine", "3").current_stage == "Production"
    assert ledger(cellar, 3) == [("REFUSED", "ada"), ("PROMOTED", "ada")]


def _running_worker(cellar: Cellar, name: str, shown: Callable[[], str]) -> subprocess.Popen[bytes]:
    """A worker in the midst of a gate run; loading what gates need takes seconds."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "lifecycle.cli", "worker", "--name", name, "--every", "0.2"],
        cwd=cellar.home,
        env=cellar.environment(),
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: shown().startswith(f"RUNNING by {name}:"), 120, "the worker runs the gates")
    return worker
