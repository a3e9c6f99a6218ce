"""A real guarded server with real versions in it, and the commands as a user types them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from lifecycle.processes.process import owned_by_me
from lifecycle.stack import start_server, stop_server
from tests.commands import run

POLICY = """
models:
  flights-delay:
    stages:
      staging: {stage: Staging, gates: [signature]}
      production:
        stage: Production
        alias: champion
        after: staging
        gates: [signature, performance: {metric: roc_auc, min: 0.6}]
defaults:
  stages:
    staging: {stage: Staging, gates: [signature]}
    production: {stage: Production, alias: champion, gates: [signature]}
"""
HANGS_S = 400
"""No command here takes this long; one that does hangs."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """What it said on stderr, without the usage lines that click puts before a wrong call."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return [line for line in lines if not line.startswith(("Usage: ", "Try '"))]

    def refused(self, code: int, said: str) -> None:
        """Exactly one clear line, the documented exit code, no traceback."""
        assert self.code == code, self.err
        assert "Traceback" not in self.err + self.out
        assert len(self.errors) == 1, self.err
        assert self.errors[0].startswith("Error: ")
        assert said in self.errors[0]


@dataclass(frozen=True)
class Stack:
    """A home, the registry that its commands go to, and what they find in their environment."""

    home: Path
    url: str
    database: Path
    config: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "LIFECYCLE_"))}
        return (
            ours
            | owned_by_me()
            | {
                "LIFECYCLE_HOME": str(self.home),
                "LIFECYCLE_CONFIG": str(self.config),
                "MLFLOW_TRACKING_URI": self.url,
                "MLFLOW_DISABLE_TELEMETRY": "true",
            }
        )

    def lifecycle(self, call: str, **environment: str) -> Done:
        """Run a ``lifecycle`` command, written as in a shell."""
        return self._run("lifecycle.cli", call, environment)

    def mlflow(self, call: str) -> Done:
        """Run an ``mlflow`` command, written as in a shell."""
        return self._run("mlflow", call, {})

    def state(self) -> dict[str, object]:
        """Everything that a refused command may not change; a refusal may be recorded."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            entries = [json.loads(text) for (text,) in connection.execute("select entry from lifecycle_ledger")]
            return {
                "stages": connection.execute("select name, version, current_stage from model_versions").fetchall(),
                "aliases": connection.execute("select * from registered_model_aliases").fetchall(),
                "ledger": [entry for entry in entries if entry["action"] != "REFUSED"],
                "deployments": {
                    str(path.relative_to(self.home)): path.read_text()
                    for path in self.home.glob("deployments/*/*/deployment.json")
                },
            }

    def _run(self, module: str, call: str, environment: Mapping[str, str]) -> Done:
        words = ["-m", module, *shlex.split(call)]
        done = run(words, self.home, self.environment | environment, HANGS_S)
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Stack]:
    """A guarded server for the tests of this folder, which run in one process: see :mod:`tests.tiers`.

    It has two versions of flights-delay, and ``unsigned``, logged without a signature.
    Version 1 of flights-delay is in Production and answers as the REST deployment ``first``.
    """
    home = tmp_path_factory.mktemp("stack")
    config = home / "lifecycle.yaml"
    config.write_text(POLICY)
    shutil.copy(empty_database, home / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in owned_by_me().items():
            patch.setenv(variable, value)
        server = start_server(home, config)
    stack = Stack(home, server.url, home / "mlflow.db", config)
    try:
        _train(stack)
        made = stack.lifecycle("deployments create --name first -m models:/flights-delay/1 -C promote=true")
        assert made.code == 0, made.err
        yield stack
    finally:
        stack.lifecycle("deployments delete --name first")
        stack.lifecycle("down")
        stop_server(home)


@pytest.fixture
def unchanged(stack: Stack) -> Iterator[None]:
    """Whatever happens in the test, it leaves everything as it was."""
    before = stack.state()
    yield
    now = stack.state()
    changed = [f"{key}:\n{before[key]}\nis now\n{now[key]}" for key in before if now[key] != before[key]]
    assert not changed, "\n".join(changed)


def _train(stack: Stack) -> None:
    script = Path(__file__).parents[1] / "small_flights.py"
    done = run([str(script)], stack.home, stack.environment, HANGS_S)
    assert done.returncode == 0, done.stderr
