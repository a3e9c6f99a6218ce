"""Where the story plays: a home of its own, and the commands as a user types them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.errors import UsageError
from lifecycle.processes.process import QUIET, owned_by_me

MODEL = "flights-delay"
_SMALL = {"months": "4-6", "trees": "10"}
"""Enough to learn from, and quick to train, compile and judge."""

_TRAIN_EACH = """\
import json, sys
_, project, each = sys.argv
sys.path.insert(0, project)
import train
for arguments in json.loads(each):
    sys.argv[1:] = arguments
    train.main()
"""
"""Trains several versions in one process, as the imports of the project's script take longer than its training."""


class WentWrong(Exception):
    """A step did not go as expected; the message says what happened instead."""


@dataclass
class Scene:
    """The stage that the steps act on.

    Attributes:
        home: Everything that the story writes.
        project: The folder of the training project.
        url: The guarded MLflow server, once it is up.
        candidates: The trainings of versions 2 and 3, under way while other steps go on.
    """

    home: Path
    project: Path
    url: str = ""
    candidates: Future[None] = field(default_factory=Future)
    _trainings: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """Months of flights as Parquet."""
        return self.home / "data"

    @property
    def rest(self) -> str:
        """The address of the REST deployment."""
        from lifecycle.assembly import assemble

        return assemble().target("rest").describe("flights").address

    def environment(self) -> dict[str, str]:
        """What the commands of the story find set."""
        return {
            "LIFECYCLE_HOME": str(self.home),
            "LIFECYCLE_CONFIG": str(self.project / "lifecycle.yaml"),
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_REGISTRY_URI": self.url,
            **QUIET,
            # Everything that is started here ends with this process, however that ends.
            **owned_by_me(),
        }

    def lifecycle(self, *arguments: str, expect: int = 0) -> str:
        """Run a ``lifecycle`` command in this process, where the heavy imports are paid once.

        Raises:
            WentWrong: another exit code than ``expect``.
        """
        from lifecycle.cli import EXIT_INTERRUPTED, run

        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = run(list(arguments))
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code != expect:
            said = (errors.getvalue() or output.getvalue()).strip().rpartition("\n")[2] or "(no output)"
            raise WentWrong(f"lifecycle {' '.join(arguments)} exited with {code}: {said}")
        return output.getvalue()

    def mlflow(self, *arguments: str) -> str:
        """Run an ``mlflow`` command in this process.

        Raises:
            MlflowException: as the command line would show it.
        """
        import click
        from mlflow.cli import cli

        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                cli.main(list(arguments), prog_name="mlflow", standalone_mode=False)
            except click.Abort as exc:  # click's word for Ctrl-C
                raise KeyboardInterrupt from exc
        return output.getvalue()

    def train(self) -> None:
        """``mlflow run`` the project. Raises WentWrong when it fails."""
        chosen = [word for name, value in _SMALL.items() for word in ("-P", f"{name}={value}")]
        self._train("-P", "-m", "mlflow", "run", str(self.project), "--env-manager", "local", *chosen)

    def train_candidates(self) -> None:
        """Start training a better version 2 and then a worse version 3, with the project's script."""
        chosen = [
            [word for name, value in (_SMALL | changed).items() for word in (f"--{name}", value)]
            for changed in ({"depth": "12"}, {"trees": "1", "depth": "1"})
        ]
        pool = ThreadPoolExecutor(1)
        self.candidates = pool.submit(self._train, "-c", _TRAIN_EACH, str(self.project), json.dumps(chosen))
        pool.shutdown(wait=False)

    def _train(self, *words: str) -> None:
        """Run ``python WORDS`` in a process of its own that cannot outlive this one.

        Raises:
            WentWrong: it failed.
        """
        log = self.home / "training.log"
        with log.open("ab") as output:
            training = subprocess.Popen(
                [sys.executable, "-P", "-m", "lifecycle.processes.supervise", "--", sys.executable, *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            )
        self._trainings.append(training)
        if training.wait():
            raise WentWrong(f"training ended with {training.returncode}; see {log}")

    def stop_training(self) -> None:
        """Stop whatever still trains."""
        for training in self._trainings:
            training.terminate()
            training.wait()


def find_project(start: Path) -> Path:
    """``projects/flights`` from here upward.

    Raises:
        UsageError: this is not a clone of the repository.
    """
    for folder in (start, *start.parents):
        project = folder / "projects" / "flights"
        if (project / "MLproject").is_file():
            return project
    raise UsageError("the demo trains projects/flights: run it in a clone of the mlflow-lifecycle repository")


def demand(condition: bool, what_happened: str) -> None:
    """Raises WentWrong unless the condition holds."""
    if not condition:
        raise WentWrong(what_happened)
