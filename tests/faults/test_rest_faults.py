"""Killed servers, killed deployers, taken ports, requests in flight at the end."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

from lifecycle.domain.deployment import Status
from lifecycle.errors import Conflict, DeploymentFailed, LifecycleError, NotFound, Unavailable
from lifecycle.processes.process import VARIABLE, wait_until
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.serving.control import read_desired, read_observed
from lifecycle.testing.target_contract import with_files
from tests.faults.asking import servers_of

pytestmark = pytest.mark.slow


def test_a_killed_server_is_told_and_the_next_deploy_starts_it_anew(target, home, lifecycle_models):
    model = lifecycle_models[0]
    spec = model.spec("flights")
    before = target.deploy(spec)
    pid = before.figures["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: target.describe("flights").status is Status.STOPPED, 5, "it is told")
    assert target.list()[0].version == 1
    with pytest.raises(Unavailable, match="STOPPED"):
        target.predict("flights", model.rows)
    again = target.deploy(spec)
    assert (again.status, again.address) == (Status.READY, before.address)
    assert servers_of(home) == [again.figures["pid"]] != [pid]
    np.testing.assert_allclose(target.predict("flights", model.rows), model.expected, rtol=1e-6, atol=1e-7)


def test_a_stopped_deployment_stays_known_when_starting_it_anew_fails(target, home, lifecycle_models, tmp_path):
    target.deploy(lifecycle_models[0].spec("flights"))
    os.kill(servers_of(home)[0], signal.SIGKILL)
    wait_until(lambda: target.describe("flights").status is Status.STOPPED, 5, "it is told")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Conflict):
        target.deploy(lifecycle_models[1].spec("flights", {"port": str(taken.getsockname()[1])}))
    assert (target.describe("flights").status, target.describe("flights").version) == (Status.STOPPED, 1)
    assert servers_of(home) == []


def test_a_model_that_does_not_load_leaves_the_old_one_answering(target, home, lifecycle_models, tmp_path):
    model = lifecycle_models[0]
    target.deploy(model.spec("flights"))
    with pytest.raises(
        DeploymentFailed, match=r"version 2 of flights-delay did not come up: the model does not load"
    ):
        target.deploy(unloadable(lifecycle_models[1], tmp_path))
    assert target.describe("flights").version == 1
    np.testing.assert_allclose(target.predict("flights", model.rows), model.expected, rtol=1e-6, atol=1e-7)


def unloadable(model, folder):
    """Just the bytes that its digest says, but no model."""

    def fill(path) -> None:
        shutil.copytree(model.snapshot.path, path, dirs_exist_ok=True)
        (pickle,) = path.glob("model.*")
        pickle.chmod(0o600)
        pickle.write_bytes(b"not a model")

    snapshot = SnapshotStore(folder / "snapshots").put(fill)
    spec = model.spec("flights", pyfunc=True)
    return with_files(spec, snapshot)


def test_a_version_that_comes_up_too_late_never_answers(target, home, lifecycle_models):
    target.deploy(lifecycle_models[0].spec("flights"))
    with pytest.raises(DeploymentFailed, match=r"gave up after 0\.1 s"):
        target.deploy(lifecycle_models[1].spec("flights", {"timeout_s": "0.1"}, pyfunc=True))
    folder = home / "deployments" / "rest" / "flights"
    answered = set()

    def settled() -> bool:
        answered.add(target.describe("flights").version)
        return read_observed(folder).generation == read_desired(folder).generation

    wait_until(settled, 60, "the server is back where it was")
    assert answered == {1}
    assert read_desired(folder).version == 1


def test_a_taken_port_is_a_conflict_that_names_it_and_leaves_nothing(target, home, lifecycle_models):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=f"127.0.0.1:{port}"):
            target.deploy(lifecycle_models[0].spec("flights", {"port": str(port)}))
    assert target.list() == []
    assert servers_of(home) == []


def test_of_two_deployers_at_once_one_wins_and_the_other_is_told(target, home, lifecycle_models):
    outcomes, barrier = [], threading.Barrier(2)

    def deploy(model) -> None:
        barrier.wait()
        try:
            outcomes.append(target.deploy(model.spec("flights")).version)
        except LifecycleError as exc:
            outcomes.append(type(exc))

    deployers = [threading.Thread(target=deploy, args=[model]) for model in lifecycle_models]
    for deployer in deployers:
        deployer.start()
    for deployer in deployers:
        deployer.join()
    assert Conflict in outcomes
    outcomes.remove(Conflict)
    assert outcomes == [target.describe("flights").version]
    assert len(servers_of(home)) == 1


def test_requests_in_flight_at_sigterm_are_answered_and_it_is_not_ready_at_once(target, home, lifecycle_models):
    model = lifecycle_models[0]
    deployed = target.deploy(model.spec("flights"))
    host, port = urlsplit(deployed.address).hostname, urlsplit(deployed.address).port
    body = json.dumps({"inputs": {name: column.tolist() for name, column in model.rows.items()}}).encode()
    head = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    clients = [socket.create_connection((host, port), timeout=20) for _ in range(16)]
    for client in clients:
        client.sendall(head + body[:100])
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: not accepts(host, port), 10, "the listener is closed")
    for client in clients:
        client.sendall(body[100:])
    for client in clients:
        response = http.client.HTTPResponse(client)
        response.begin()
        assert response.status == 200
        answer = json.loads(response.read())["predictions"]
        np.testing.assert_allclose(answer, model.expected, rtol=1e-6, atol=1e-7)
        client.close()
    wait_until(lambda: servers_of(home) == [], 10, "the server ends")


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionError:
        return False
    return True


def test_readiness_goes_before_the_listener_does(target, home, lifecycle_models):
    deployed = target.deploy(lifecycle_models[0].spec("flights"))
    url = urlsplit(deployed.address)
    probe = http.client.HTTPConnection(url.hostname, url.port, timeout=10)

    def status(path: str) -> int:
        probe.request("GET", path)
        response = probe.getresponse()
        response.read()
        return response.status

    assert status("/readyz") == 200
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: status("/readyz") == 503, 5, "it is not ready")
    assert status("/livez") == 200
    probe.close()
    wait_until(lambda: servers_of(home) == [], 10, "the server ends")


def test_a_server_ends_with_its_owner_even_when_that_is_killed(target, home, lifecycle_models, monkeypatch):
    owner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setenv(VARIABLE, str(owner.pid))
    target.deploy(lifecycle_models[0].spec("flights"))
    owner.kill()
    owner.wait()
    wait_until(lambda: target.describe("flights").status is Status.STOPPED, 10, "it is told")
    wait_until(lambda: servers_of(home) == [], 10, "the server ends")


def test_a_server_whose_folder_is_gone_ends(target, home, lifecycle_models):
    target.deploy(lifecycle_models[0].spec("flights"))
    (home / "deployments" / "rest" / "flights" / "desired.json").unlink()
    wait_until(lambda: servers_of(home) == [], 10, "the server ends")


def test_what_a_killed_deployer_leaves_is_listed_and_can_be_taken_down(target, home, lifecycle_models):
    spec = lifecycle_models[0].spec("flights", pyfunc=True)
    code = f"""
from pathlib import Path
from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.testing.target_contract import folder_context
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.targets.rest import RestTarget
from lifecycle.serving.control import read_desired, read_observed
RestTarget(folder_context(Path({str(home)!r}))).deploy(DeploymentSpec(
    "flights", ModelRef.parse({str(spec.ref)!r}), (Variant.from_dict({spec.champion.as_dict()!r}),)))
"""
    deployer = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: servers_of(home) != [], 30, "the server is started")
    deployer.kill()
    deployer.wait()
    assert [d.name for d in target.list()] == ["flights"]
    target.undeploy("flights")
    with pytest.raises(NotFound):
        target.describe("flights")
    wait_until(lambda: servers_of(home) == [], 10, "the server ends")


def test_a_record_that_is_no_longer_one_can_still_be_taken_down(target, home, lifecycle_models):
    target.deploy(lifecycle_models[0].spec("flights"))
    (home / "deployments" / "rest" / "flights" / "deployment.json").write_text("{")
    target.undeploy("flights")
    assert target.list() == []
    assert servers_of(home) == []
