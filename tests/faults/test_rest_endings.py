"""However a server is told to end: nothing that it has begun is lost, and it ends in time."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from lifecycle.errors import LifecycleError
from lifecycle.processes.process import wait_until
from tests.faults.asking import Asker, Connection, Deployed, answer_of, asked, processes_of, request_of, stop

pytestmark = pytest.mark.slow

CLIENTS = 4


@pytest.fixture
def deployed(target, lifecycle_models):
    return target.deploy(lifecycle_models[0].spec("flights", {"workers": "2", "drain_s": "5"}))


@pytest.fixture
def askers(deployed, lifecycle_models):
    request = request_of(lifecycle_models[0].rows)
    bodies = {1: answer_of(deployed.address, request)[1]}
    askers = [Ending(deployed.address, request, bodies, Deployed(None)) for _ in range(CLIENTS)]
    for asker in askers:
        asker.start()
    wait_until(lambda: asked(askers) > 100, 20, "they ask")
    yield askers
    stop(askers)


class Ending(Asker):
    """Stops asking when nobody takes a new connection any more."""

    def _ask(self, tries: int) -> None:
        if self._connection is None:
            try:
                self._connection = Connection(self.address)
            except OSError:
                self.over.set()
                return
            first = True
        else:
            first = False
        failures = len(self.failures)
        super()._ask(tries)
        if first and len(self.failures) > failures:  # it was never accepted
            self.failures.pop()
            self.over.set()


def test_sigterm_under_load_loses_nothing_in_flight(home, deployed, askers):
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: processes_of(home) == {}, 10, "it ends")
    for asker in askers:
        asker.join(10)
    assert [asker.failures for asker in askers] == [[]] * CLIENTS


def test_sigterm_during_a_swap_ends_it_without_loss(target, home, deployed, askers, lifecycle_models):
    new = lifecycle_models[1].spec("flights", {"workers": "2"})
    swap = threading.Thread(target=_deploy, args=[target, new])
    swap.start()
    wait_until(lambda: len(processes_of(home)) > 3 or not swap.is_alive(), 10, "the swap has begun")
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: processes_of(home) == {}, 10, "it ends")
    swap.join(20)
    for asker in askers:
        asker.join(10)
    assert [asker.failures for asker in askers] == [[]] * CLIENTS


def _deploy(target, spec) -> None:
    with suppress(LifecycleError):
        target.deploy(spec)


def test_a_second_sigterm_ends_it_at_once(home, deployed, lifecycle_models):
    held = Connection(deployed.address)
    held._socket.sendall(request_of(lifecycle_models[0].rows)[:-10])  # never finished
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    begun = time.monotonic()
    time.sleep(0.5)
    assert deployed.figures["pid"] in processes_of(home)  # it waits for what is in flight
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: processes_of(home) == {}, 2, "it ends")
    assert time.monotonic() - begun < 5
    held.close()


def test_what_never_finishes_is_cut_when_the_time_is_over(home, deployed, lifecycle_models):
    held = Connection(deployed.address)
    held._socket.sendall(request_of(lifecycle_models[0].rows)[:-10])
    os.kill(deployed.figures["pid"], signal.SIGTERM)
    wait_until(lambda: processes_of(home) == {}, 5 + 5, "it ends")
    held.close()


def test_sigterm_while_the_first_version_loads_ends_it(target, home, lifecycle_models):
    spec = lifecycle_models[0].spec("flights", pyfunc=True)
    outcome = []

    def deploy() -> None:
        try:
            target.deploy(spec)
        except LifecycleError as exc:
            outcome.append(exc)

    deploying = threading.Thread(target=deploy)
    deploying.start()
    wait_until(lambda: len(processes_of(home)) >= 2, 20, "a worker starts")
    (supervisor,) = (pid for pid, line in processes_of(home).items() if "lifecycle.serving.supervisor" in line)
    os.kill(supervisor, signal.SIGTERM)
    deploying.join(20)
    assert len(outcome) == 1
    assert "ended while" in str(outcome[0])
    wait_until(lambda: processes_of(home) == {}, 10, "everything ends")
    assert target.list() == []
