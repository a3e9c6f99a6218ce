"""Workers that are killed, hang or end: replaced in seconds, and hardly noticed where there is another one."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from lifecycle.domain.deployment import Status
from lifecycle.processes.process import wait_until
from tests.faults.asking import (
    Asker,
    Deployed,
    answer_of,
    asked,
    processes_of,
    request_of,
    servers_of,
    stop,
    workers_of,
)
from tests.proof import rounds

pytestmark = pytest.mark.slow

KILLS = rounds(30, 4)
CLIENTS = 4
REPLACED_S = 60.0


@pytest.fixture
def two_workers(target, lifecycle_models):
    return target.deploy(lifecycle_models[0].spec("flights", {"workers": "2"}))


@pytest.fixture
def askers(two_workers, lifecycle_models):
    request = request_of(lifecycle_models[0].rows)
    bodies = {1: answer_of(two_workers.address, request)[1]}
    askers = [Asker(two_workers.address, request, bodies, Deployed(1), tries=2) for _ in range(CLIENTS)]
    for asker in askers:
        asker.start()
    yield askers
    stop(askers)


def test_killed_workers_are_replaced_and_a_client_that_retries_once_sees_nothing(
    home, two_workers, askers, record_property
):
    (supervisor,) = servers_of(home)
    files, waits = open_files(supervisor), []
    for number in range(KILLS):
        before = asked(askers)
        wait_until(lambda before=before: asked(askers) > before + 50, 20, "they ask")
        workers = workers_of(home)
        victim = workers[number % 2]
        retried = sum(asker.retried for asker in askers)
        os.kill(victim, signal.SIGKILL)
        begun = time.monotonic()
        wait_until(lambda victim=victim: replaced(home, victim), REPLACED_S, "it is replaced")
        waits.append(time.monotonic() - begun)
        assert sum(asker.retried for asker in askers) - retried <= CLIENTS  # each had one in flight at most
    stop(askers)
    record_property("figures", f"{KILLS} kills, replaced within {max(waits):.2f} s, {asked(askers)} requests")
    assert [asker.failures + asker.wrong for asker in askers] == [[]] * CLIENTS
    wait_until(lambda: open_files(supervisor) <= files, 5, "no file is left open")
    assert len(processes_of(home)) == 3


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def replaced(home: Path, victim: int) -> bool:
    """Whether two others live that have ONNX Runtime loaded, which is a moment before they answer."""
    workers = workers_of(home)
    return victim not in workers and len(workers) == 2 and all(loads(pid) for pid in workers)


def loads(pid: int) -> bool:
    """Whether it has got as far as its model."""
    try:
        return any("onnxruntime" in m.path for m in psutil.Process(pid).memory_maps())
    except psutil.NoSuchProcess:
        return False


def test_a_lone_worker_is_replaced_and_connections_meanwhile_wait(target, home, lifecycle_models):
    model = lifecycle_models[0]
    deployed = target.deploy(model.spec("flights"))
    request = request_of(model.rows)
    before = answer_of(deployed.address, request)
    os.kill(workers_of(home)[0], signal.SIGKILL)
    assert answer_of(deployed.address, request) == before
    assert target.describe("flights") == deployed


def test_a_worker_that_is_told_to_end_finishes_and_is_replaced(home, two_workers, askers):
    for worker in workers_of(home):
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda worker=worker: replaced(home, worker), 10, "it is replaced")
    stop(askers)
    assert [asker.failures + asker.wrong for asker in askers] == [[]] * CLIENTS


@pytest.mark.proof  # a worker may be silent for 10 s
def test_a_worker_that_hangs_is_killed_and_replaced(home, two_workers):
    victim = workers_of(home)[0]
    os.kill(victim, signal.SIGSTOP)
    wait_until(lambda: replaced(home, victim), REPLACED_S, "it is replaced")


def test_workers_end_with_their_supervisor_and_the_port_is_free(target, home, lifecycle_models, two_workers):
    os.kill(servers_of(home)[0], signal.SIGKILL)
    wait_until(lambda: processes_of(home) == {}, 10, "the workers end")
    url = urlsplit(two_workers.address)
    with socket.create_server((url.hostname, url.port)):
        assert target.describe("flights").status is Status.STOPPED
    again = target.deploy(lifecycle_models[1].spec("flights", {"workers": "2"}))
    assert (again.status, again.address) == (Status.READY, two_workers.address)


def test_workers_that_die_at_once_are_given_up_and_that_is_said(target, home, lifecycle_models):
    """The files that a worker needs are gone, so no new one can come up."""
    model = lifecycle_models[0]
    target.deploy(model.spec("flights"))
    compiled = model.compiled.rename(model.compiled.with_name("elsewhere"))
    try:
        os.kill(workers_of(home)[0], signal.SIGKILL)
        given_up = "worker processes end again and again"
        wait_until(lambda: given_up in target.describe("flights").detail, 60, "it is given up")
        assert target.describe("flights").status is Status.FAILED
        assert workers_of(home) == []
    finally:
        compiled.rename(model.compiled)
    assert target.deploy(model.spec("flights")).status is Status.READY
