"""Whatever is wrong: one clear line, the documented exit code, no traceback, and nothing has changed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lifecycle.processes.process import free_port
from lifecycle.stack import running_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchanged")]

FIRST, SECOND, UNSIGNED = "models:/flights-delay/1", "models:/flights-delay/2", "models:/unsigned/1"
DEPLOY = "deployments create --name another -m"
TO_STAGING = f"promote {SECOND} --stage staging"
NOBODY = f"127.0.0.1:{free_port()}"
"""No MLflow server answers there."""
MISSPELT = "models: {flights-delay: {stages: {staging: {stage: Staging, gtaes: [signature]}}}}"


@dataclass(frozen=True)
class Wrong:
    """A wrong call, its exit code, and what the one line has to say."""

    call: str
    code: int
    said: str
    environment: Mapping[str, str] = field(default_factory=dict)


MISSPELT_KEY = "models.flights-delay.stages.staging: unknown key 'gtaes'; did you mean 'gates'?"
NO_SERVER, NO_CONFIG = {"MLFLOW_TRACKING_URI": f"http://{NOBODY}"}, {"LIFECYCLE_CONFIG": "misspelt.yaml"}
WRONG = {
    "unknown stage": Wrong(f"promote {FIRST} --stage prodction", 5, "did you mean 'production'"),
    "unknown model": Wrong("promote models:/flihgts-delay/1 --stage staging", 5, "did you mean 'flights-delay'"),
    "unknown version": Wrong("gate run models:/flights-delay/9 --stage staging", 5, "1 (Production), 2 (None)"),
    "which version is not said": Wrong("promote models:/flights-delay --stage staging", 2, "models:/NAME/VERSION"),
    "no such file": Wrong(
        f"gate run {SECOND} --stage staging --current july.parquet", 5, "july.parquet: no such file"
    ),
    "no evidence": Wrong(TO_STAGING, 1, f"lifecycle gate run {SECOND}"),
    "nothing to roll back to": Wrong("rollback flights-delay --reason x", 5, "nothing to roll back to"),
    "back to what never was": Wrong("rollback flights-delay --to 2 --reason x", 5, "never held version 2"),
    "unknown target": Wrong(f"{DEPLOY} {FIRST} -t lifecycle:/rset", 5, "did you mean 'rest'"),
    "unknown option": Wrong(f"{DEPLOY} {FIRST} -C prot=80", 2, "did you mean 'port'"),
    "unknown option, would promote": Wrong(f"{DEPLOY} {SECOND} -C promote=true -C prot=80", 2, "'port'"),
    "not promoted": Wrong(f"{DEPLOY} {SECOND}", 1, "promote=true"),
    "nothing in the stage": Wrong(f"{DEPLOY} models:/flights-delay/Staging", 5, "holds no version"),
    "unguarded alias": Wrong(f"{DEPLOY} models:/flights-delay@rival", 1, "Guarded aliases: champion"),
    "name in use": Wrong(f"deployments create --name first -m {FIRST}", 6, "use update"),
    "unknown deployment": Wrong(f"deployments update --name frist -m {FIRST}", 5, "did you mean 'first'"),
    "rows lack a column": Wrong("deployments predict --name first -I no-distance.parquet", 2, "'distance'"),
    "no signature": Wrong(f"{DEPLOY} {UNSIGNED}", 1, "promote=true"),
    "no signature, would promote": Wrong(
        f"{DEPLOY} {UNSIGNED} -C promote=true", 1, "log it with signature=mlflow.models.infer_signature"
    ),
    "no server to promote": Wrong(TO_STAGING, 7, f"no MLflow server answers at {NOBODY}", NO_SERVER),
    "no server to deploy": Wrong(f"{DEPLOY} {FIRST}", 7, NOBODY, NO_SERVER),
    "no database": Wrong(TO_STAGING, 7, "gone.db", {"MLFLOW_TRACKING_URI": "sqlite:///gone.db"}),
    "unknown key, gate list": Wrong("gate list", 2, MISSPELT_KEY, NO_CONFIG),
    "unknown key, deploy": Wrong(f"{DEPLOY} {FIRST}", 2, MISSPELT_KEY, NO_CONFIG),
    "unknown key, up": Wrong("up", 2, "misspelt.yaml", NO_CONFIG),
}

# MLflow's own command line shows a traceback for every MlflowException, so its last line has to be enough.
MLFLOW = {
    "not promoted": (f"create -t lifecycle:/rest --name x -m {SECOND}", "promote=true [NOT_PROMOTED]"),
    "unknown target": (f"create -t lifecycle:/rset --name x -m {FIRST}", "did you mean 'rest'? Known: "),
    "unknown option": (f"create -t lifecycle:/rest --name x -m {FIRST} -C prot=80", "did you mean 'port'?"),
    "unknown deployment": ("get -t lifecycle:/rest --name frist", "did you mean 'first'"),
    "no kind of target": ("delete -t lifecycle --name first", "say which kind of target: lifecycle:/batch"),
}


@pytest.fixture(scope="module")
def answers(stack):
    """What the commands answered, two at a time: each takes three seconds to import MLflow."""
    (stack.home / "misspelt.yaml").write_text(MISSPELT)
    before = stack.state()
    with ThreadPoolExecutor(2) as pool:
        ours = {n: pool.submit(stack.lifecycle, w.call, **w.environment) for n, w in WRONG.items()}
        theirs = {n: pool.submit(stack.mlflow, f"deployments {call}") for n, (call, _) in MLFLOW.items()}
    assert stack.state() == before
    assert not (stack.home / "gone.db").exists()
    return {"lifecycle": ours, "mlflow": theirs}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_call_is_one_clear_line(answers, name):
    answers["lifecycle"][name].result().refused(WRONG[name].code, WRONG[name].said)


@pytest.mark.parametrize("name", MLFLOW)
def test_mlflows_own_command_line_says_it_in_its_last_line(answers, name):
    done = answers["mlflow"][name].result()
    assert done.code == 1
    assert MLFLOW[name][1] in done.err.strip().splitlines()[-1]


def test_debug_shows_the_traceback_with_the_same_line_and_code(stack):
    done = stack.lifecycle("--debug promote models:/flights-delay/9 --stage staging")
    assert done.code == 5
    assert "Traceback" in done.err
    assert sum(line.startswith("Error: ") for line in done.err.splitlines()) == 1


def test_a_model_without_signature_fails_its_gate_with_what_to_do(stack):
    done = stack.lifecycle(f"gate run {UNSIGNED} --stage staging --json")
    assert (done.code, done.err.split()[:2]) == (1, ["FAILED", "signature"])
    (verdict,) = json.loads(done.out)["verdicts"]
    assert (verdict["gate"], verdict["outcome"]) == ("signature", "FAILED")
    assert "log it with signature=mlflow.models.infer_signature" in verdict["message"]


def test_what_needs_no_registry_works_without_one(stack):
    for call in ("status", "deployments list", "deployments get --name first"):
        done = stack.lifecycle(call, **NO_SERVER)
        assert (done.code, done.err) == (0, "")
    done = stack.lifecycle("deployments predict --name first -I rows.parquet", **NO_SERVER)
    assert (done.code, done.err) == (0, "")
    assert len(json.loads(done.out)["predictions"]) == 20


# Ports


def test_a_taken_port_is_a_conflict_and_leaves_no_deployment(stack):
    with listening() as port:
        done = stack.lifecycle(f"{DEPLOY} {FIRST} -C port={port}")
    done.refused(6, f"127.0.0.1:{port}")
    assert not (stack.home / "deployments" / "rest" / "another").exists()


def test_a_taken_port_is_a_conflict_for_the_server_too(stack, tmp_path, belonging):
    home = tmp_path / "home"
    with listening() as port:
        done = stack.lifecycle(f"up --port {port}", LIFECYCLE_HOME=str(home))
    done.refused(6, f"port {port} of 127.0.0.1 is taken")
    assert belonging(str(home)) == []


# The registry


def test_a_server_that_hangs_is_unavailable(stack):
    with stopped(stack.home):
        done = stack.lifecycle(TO_STAGING, MLFLOW_HTTP_REQUEST_TIMEOUT="3")
    done.refused(7, "does not answer in time")


def test_a_locked_database_is_a_conflict_behind_a_server_and_on_a_laptop(stack):
    """MLflow waits 20 s for a lock, so both wait at the same time."""

    def promote(uri):
        return stack.lifecycle(TO_STAGING, MLFLOW_TRACKING_URI=uri)

    with (
        closing(sqlite3.connect(stack.database, isolation_level=None)) as connection,
        ThreadPoolExecutor() as pool,
    ):
        connection.execute("begin immediate")
        for done in pool.map(promote, [stack.url, f"sqlite:///{stack.database}"]):
            done.refused(6, "another client is changing this model or the whole database; nothing was changed")


# Snapshots


@pytest.mark.parametrize("target", ["rest", "batch", "edge"])
def test_a_snapshot_whose_files_changed_is_an_integrity_error(stack, target, tmp_path):
    options = {
        "rest": "",
        "batch": f"-C input=rows.parquet -C output={tmp_path / 'scored'}",
        "edge": f"-C output={tmp_path / 'bundle.zip'}",
    }
    with changed_snapshot(stack.home) as name:
        done = stack.lifecycle(f"{DEPLOY} {FIRST} -t {target} {options[target]}")
    done.refused(8, f"{name} was changed in the snapshot")
    assert list(tmp_path.iterdir()) == []


def test_a_changed_snapshot_is_not_judged_either_and_what_answers_goes_on_answering(stack):
    with changed_snapshot(stack.home) as name:
        stack.lifecycle(f"gate run {FIRST} --stage staging").refused(8, f"{name} was changed")
        assert stack.lifecycle("deployments get --name first --json").code == 0


def test_deleting_the_changed_snapshot_as_the_line_says_puts_it_right(stack, tmp_path):
    with changed_snapshot(stack.home) as name:
        (folder,) = {path.parent for path in stack.home.glob(f"snapshots/{served(stack.home)}/{name}")}
        aside = folder.rename(tmp_path / "changed")
        done = stack.lifecycle(f"gate run {FIRST} --stage staging")
        assert done.code == 0, done.err
        assert (folder / name).read_bytes() != (aside / name).read_bytes()


# Faults


@contextmanager
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def stopped(home: Path) -> Iterator[None]:
    """The server and its workers neither answer nor end."""
    server = running_server(home)
    assert server is not None
    processes = psutil.Process(server.process.pid).children(recursive=True)
    try:
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


@contextmanager
def changed_snapshot(home: Path) -> Iterator[str]:
    """One bit of version 1's model file is another; yields the file's name."""
    victim = home / "snapshots" / served(home) / "model.skops"
    content = victim.read_bytes()
    victim.chmod(0o600)
    victim.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    try:
        yield victim.name
    finally:
        victim.chmod(0o600)
        victim.write_bytes(content)


def served(home: Path) -> str:
    """The digest that the deployment ``first`` answers with."""
    record = home / "deployments" / "rest" / "first" / "deployment.json"
    return str(json.loads(record.read_text())["variants"][0]["digest"])
