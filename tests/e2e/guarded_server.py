"""A guarded ``mlflow server`` as somebody starts it who runs one for others, and the people who use it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.processes.process import free_port, owned_by_me, spawn_detached, stop, wait_until
from lifecycle.registry.tags import history_of
from tests.commands import run

STARTS_WITHIN_S = 180.0
HANGS_S = 400
PASSWORD = "correct horse battery staple"
PEOPLE = ("ada", "grace", "linus")
SIGN_IN = f"""[mlflow]
default_permission = EDIT
database_uri = sqlite:///{{home}}/people.db
admin_username = admin
admin_password = {PASSWORD}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""
MODEL = """
import mlflow, pandas, sys
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier
mlflow.set_experiment("tasting")
rows = pandas.DataFrame({"acidity": [0.1, 0.9], "sugar": [1.0, 0.0]})
for strategy in sys.argv[2:]:
    model = DummyClassifier(strategy=strategy).fit(rows, [0, 1])
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name=sys.argv[1], pip_requirements=["scikit-learn"],
            signature=infer_signature(rows, model.predict(rows)), input_example=rows,
            serialization_format="cloudpickle",
        )
"""


@dataclass(frozen=True)
class Answer:
    """Of an HTTP request."""

    status: int
    body: Any

    @property
    def said(self) -> str:
        """The words of an error."""
        return str(self.body["message"])


@dataclass(frozen=True)
class Person:
    """Somebody at their own machine, which has the keys and the policy of the server's home.

    Attributes:
        url: Of the server, with its prefix.
        variables: What they have set in their environment.
    """

    home: Path
    url: str
    variables: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def named(self, user: str, password: str = PASSWORD) -> Person:
        """The same, signed in."""
        token = b64encode(f"{user}:{password}".encode()).decode()
        variables = {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        return replace(
            self,
            variables={**self.variables, **variables},
            headers={**self.headers, "Authorization": f"Basic {token}"},
        )

    def within(self, workspace: str) -> Person:
        """The same, working in a workspace."""
        return replace(
            self,
            variables={**self.variables, "MLFLOW_WORKSPACE": workspace},
            headers={**self.headers, "X-MLFLOW-WORKSPACE": workspace},
        )

    def ask(self, method: str, path: str, **fields: Any) -> Answer:
        """A request to the server's API, such as ``api/2.0/mlflow/registered-models/alias``."""
        request = urllib.request.Request(  # noqa: S310  our own http URL
            f"{self.url}/{path}",
            json.dumps(fields).encode(),
            {"Content-Type": "application/json", **self.headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=HANGS_S) as answer:  # noqa: S310
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as exc:
            content = exc.read()
            as_json = exc.headers.get_content_type() == "application/json"
            return Answer(exc.code, json.loads(content) if as_json else {"message": content.decode()})

    def move(self, version: int, stage: str, api: str = "api") -> Answer:
        """Transition a version of ``wine``."""
        fields = {"name": "wine", "version": str(version), "stage": stage}
        return self.ask("POST", f"{api}/2.0/mlflow/model-versions/transition-stage", **fields)

    def tag(self, version: int, key: str, value: str) -> Answer:
        """Set a tag of a version of ``wine``."""
        fields = {"name": "wine", "version": str(version), "key": key, "value": value}
        return self.ask("POST", "api/2.0/mlflow/model-versions/set-tag", **fields)

    def aliases(self) -> dict[str, int]:
        """Of ``wine``."""
        model = self.ask("GET", "api/2.0/mlflow/registered-models/get?name=wine").body["registered_model"]
        return {alias["alias"]: int(alias["version"]) for alias in model.get("aliases", [])}

    def history(self, version: int) -> list[LedgerEntry]:
        """What the ledger says about a version of ``wine``."""
        found = self.ask("GET", f"api/2.0/mlflow/model-versions/get?name=wine&version={version}").body
        return history_of({tag["key"]: tag["value"] for tag in found["model_version"].get("tags", [])})

    def lifecycle(self, call: str) -> subprocess.CompletedProcess[str]:
        """Run a ``lifecycle`` command, written as in a shell."""
        return self._run("-m", "lifecycle.cli", *shlex.split(call))

    def register(self, *strategies: str) -> None:
        """Train and register as many versions of ``wine``."""
        done = self._run("-c", MODEL, "wine", *strategies)
        assert done.returncode == 0, done.stderr

    def _run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        environment = _environment(self.home) | {"MLFLOW_TRACKING_URI": self.url} | self.variables
        return run(argv, self.home, environment, HANGS_S)


@contextmanager
def mlflow_server(home: Path, database: str, policy: str, options: str, **environment: str) -> Iterator[Person]:
    """Start ``mlflow server`` with the guard and two workers, and stop it; lends somebody who knows where it is.

    Args:
        database: Its URI, for runs and registry.
        options: More of the command line.
        environment: More of its environment.
    """
    (home / "lifecycle.yaml").write_text(policy)
    port = free_port()
    command = (
        f"{sys.executable} -m lifecycle.processes.supervise -- {sys.executable} -m mlflow server --host 127.0.0.1 "
        f"--port {port} --workers 2 --backend-store-uri '{database}' --registry-store-uri 'lifecycle+{database}' "
        f"--artifacts-destination {home / 'artifacts'} {options}"
    )
    argv = shlex.split(command)
    prefix = argv[argv.index("--static-prefix") + 1] if "--static-prefix" in argv else ""
    anybody = Person(home, f"http://127.0.0.1:{port}{prefix}")
    server = spawn_detached(argv, home / "server.log", _environment(home) | environment)
    try:
        wait_until(lambda: answers(anybody), STARTS_WITHIN_S, f"the server answers; see {home / 'server.log'}")
        yield anybody
    finally:
        stop(server)


@contextmanager
def with_sign_in(home: Path, database: str, policy: str) -> Iterator[Person]:
    """The same with MLflow's basic-auth, and with :data:`PEOPLE`."""
    (home / "people.ini").write_text(SIGN_IN.format(home=home))
    with mlflow_server(
        home,
        database,
        policy,
        "--app-name basic-auth",
        MLFLOW_AUTH_CONFIG_PATH=str(home / "people.ini"),
        MLFLOW_FLASK_SERVER_SECRET_KEY="of this test alone",
    ) as anybody:
        for person in PEOPLE:
            made = anybody.named("admin").ask(
                "POST", "api/2.0/mlflow/users/create", username=person, password=PASSWORD
            )
            assert made.status == 200, made
        yield anybody


def answers(anybody: Person) -> bool:
    """Whether the server is up."""
    try:
        with urllib.request.urlopen(f"{anybody.url}/health", timeout=2) as answer:  # noqa: S310  our own http URL
            return bool(answer.status == 200)
    except OSError:
        return False


def _environment(home: Path) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "LIFECYCLE_"))}
    return (
        ours
        | owned_by_me()
        | {
            "LIFECYCLE_HOME": str(home),
            "LIFECYCLE_CONFIG": str(home / "lifecycle.yaml"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
    )
