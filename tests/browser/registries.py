"""Guarded MLflow servers with their UI, the commands and people that talk to them, and a small model in them."""

from __future__ import annotations

import os
import shlex
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory

import pytest
from mlflow import MlflowClient

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.processes.process import free_port, owned_by_me, spawn_detached, stop, wait_until
from lifecycle.registry.tags import history_of
from lifecycle.stack import start_server, stop_server
from tests import commands

POLICY = Path(__file__).with_name("lifecycle.yaml")
STARTS_WITHIN_S = 120.0
HANGS_S = 180
PASSWORD = "correct horse battery staple"
SIGN_IN = f"""[mlflow]
default_permission = EDIT
database_uri = sqlite:///{{home}}/people.db
admin_username = admin
admin_password = {PASSWORD}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""


@dataclass(frozen=True)
class Registry:
    """A server, and what makes a process talk to it."""

    url: str
    home: Path
    environment: dict[str, str]

    def signed_in(self, user: str) -> Registry:
        """The same for somebody in particular."""
        credentials = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        return replace(self, environment=self.environment | credentials)

    def run(self, program: Path, *arguments: str) -> str:
        """Run a program of ours against it; its output."""
        return self._run(str(program), *arguments)

    def lifecycle(self, call: str) -> str:
        """Run a ``lifecycle`` command, written as in a shell; its output."""
        return self._run("-m", "lifecycle.cli", *shlex.split(call))

    @contextmanager
    def client(self) -> Iterator[MlflowClient]:
        """MLflow's own client, which finds out from the environment who it is."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
                patch.delenv(name, raising=False)
                if name in self.environment:
                    patch.setenv(name, self.environment[name])
            yield MlflowClient(self.url)

    def register(self, name: str, versions: int) -> None:
        """Register a small model with a signature, as several versions."""
        with self.client() as client, TemporaryDirectory() as folder:
            _save(folder)
            run = client.create_run("0").info
            client.log_artifacts(run.run_id, folder, "model")
            client.create_registered_model(name)
            for _ in range(versions):
                client.create_model_version(name, f"{run.artifact_uri}/model", run.run_id)

    def history(self, name: str, version: int) -> list[LedgerEntry]:
        """What the ledger says about a version."""
        with self.client() as client:
            return history_of(client.get_model_version(name, str(version)).tags)

    def move(self, name: str, version: int, stage: str) -> None:
        """Move a version as any client does."""
        with self.client() as client, pytest.warns(FutureWarning):
            client.transition_model_version_stage(name, str(version), stage)

    def _run(self, *arguments: str) -> str:
        done = commands.run(arguments, self.home, self.environment, HANGS_S)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def guarded(home: Path) -> Iterator[Registry]:
    """A server that asks nobody who they are."""
    config = Path(copy(POLICY, home))
    with _owned():
        server = start_server(home, config)
    try:
        yield Registry(server.url, home, _environment(home, config, server.url))
    finally:
        stop_server(home)


@contextmanager
def guarded_with_sign_in(home: Path, people: tuple[str, ...]) -> Iterator[Registry]:
    """A server as ``mlflow server --app-name basic-auth`` starts it, with these people."""
    config, port, database = Path(copy(POLICY, home)), free_port(), f"sqlite:///{home / 'mlflow.db'}"
    (home / "people.ini").write_text(SIGN_IN.format(home=home))
    command = (
        f"{sys.executable} -m lifecycle.processes.supervise -- {sys.executable} -m mlflow server --workers 1 "
        f"--host 127.0.0.1 --port {port} --backend-store-uri {database} --registry-store-uri lifecycle+{database} "
        f"--artifacts-destination {home / 'artifacts'} --app-name basic-auth"
    )
    environment = _environment(home, config, f"http://127.0.0.1:{port}") | {
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "people.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this test alone",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    server = spawn_detached(shlex.split(command), home / "server.log", environment)
    registry = Registry(f"http://127.0.0.1:{port}", home, environment)
    try:
        wait_until(lambda: _answers(registry.url), STARTS_WITHIN_S, "the server answers")
        for person in people:
            _create(registry, person)
        yield registry
    finally:
        stop(server)


def _environment(home: Path, config: Path, url: str) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "LIFECYCLE_"))}
    return ours | owned_by_me() | {
        "LIFECYCLE_HOME": str(home),
        "LIFECYCLE_CONFIG": str(config),
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip


@contextmanager
def _owned() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in owned_by_me().items():
            patch.setenv(variable, value)
        yield


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310  our own
        return answer.status == 200
    return False


def _create(registry: Registry, person: str) -> None:
    from mlflow.server.auth.client import AuthServiceClient

    with registry.signed_in("admin").client():
        AuthServiceClient(registry.url).create_user(person, PASSWORD)


def _save(folder: str) -> None:
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = pd.DataFrame({"distance": np.linspace(0, 1, 50), "dep_delay": np.linspace(1, 0, 50)})
    model = LogisticRegression().fit(rows, rows["distance"] > 0.5)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(rows, model.predict(rows)),
        input_example=rows.head(3),
        pip_requirements=["scikit-learn"],
        skops_trusted_types=["numpy.dtype"],
    )
