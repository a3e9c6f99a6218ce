"""Fifty versions one after the other, under constant requests: none failed, none answered by the wrong one."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest

from lifecycle.domain.deployment import Status
from lifecycle.errors import LifecycleError
from lifecycle.processes.process import wait_until
from lifecycle.testing.target_contract import broken
from tests.faults.asking import Asker, Deployed, answer_of, asked, request_of, stop, workers_of
from tests.proof import rounds

pytestmark = pytest.mark.slow

REQUESTS, SWAPS = rounds(50_000, 4_000), rounds(50, 4)
CLIENTS = 4


@pytest.fixture
def serving(target, lifecycle_models):
    """Two workers, clients that ask, and the right answers."""
    first, second = lifecycle_models
    options = {"workers": "2"}
    request = request_of(first.rows)
    bodies = {}
    for model in (second, first):
        address = target.deploy(model.spec("flights", options)).address
        bodies[model.version] = answer_of(address, request)[1]
    assert len(set(bodies.values())) == 2
    deployed = Deployed(version=1)
    askers = [Asker(address, request, bodies, deployed) for _ in range(CLIENTS)]
    for asker in askers:
        asker.start()
    yield deployed, askers, [model.spec("flights", options) for model in lifecycle_models]
    stop(askers)


def test_no_request_fails_or_is_answered_by_the_wrong_version_and_no_connection_is_cut(
    target, serving, record_property
):
    deployed, askers, specs = serving
    begun = time.monotonic()
    for number in range(SWAPS):
        spec = specs[(number + 1) % 2]
        deployed.begin()
        target.deploy(spec)
        deployed.end(spec.version)
    swapped = time.monotonic() - begun
    wait_until(
        lambda: sum(a.answered for a in askers) >= REQUESTS or any(a.failures for a in askers), 600, "asked"
    )
    stop(askers)
    record_property("figures", f"{sum(a.answered for a in askers)} requests, {SWAPS} swaps in {swapped:.1f} s")
    assert [a.failures for a in askers] == [[]] * CLIENTS
    assert [a.wrong for a in askers] == [[]] * CLIENTS
    assert [a.connections for a in askers] == [1] * CLIENTS


def test_a_worker_that_is_killed_during_a_swap_comes_back_with_the_version_of_now(target, home, serving):
    deployed, askers, specs = serving
    for asker in askers:
        asker.tries = 2
    for number in range(rounds(4, 2)):
        spec = specs[(number + 1) % 2]
        deployed.begin()
        os.kill(workers_of(home)[0], signal.SIGKILL)
        target.deploy(spec)
        deployed.end(spec.version)
        wait_until(lambda: len(workers_of(home)) == 2, 5, "the worker is replaced")
    stop(askers)
    assert [a.failures for a in askers] == [[]] * CLIENTS
    assert [a.wrong for a in askers] == [[]] * CLIENTS


def test_settings_change_without_a_lost_request(target, home, serving):
    _, askers, specs = serving
    for options in (
        {"workers": "2", "max_body_mb": "3"},  # taken over as they are
        {"workers": "3"},  # one more
        {"workers": "1"},  # two fewer
        {"workers": "1", "max_connections": "99"},  # a process of its own
    ):
        target.deploy(replace(specs[0], options=options))
        wanted = int(options["workers"])
        assert target.describe("flights").options == options
        wait_until(lambda wanted=wanted: len(workers_of(home)) == wanted, 15, f"{wanted} workers")
    stop(askers)
    assert [a.failures for a in askers] == [[]] * CLIENTS
    assert [a.wrong for a in askers] == [[]] * CLIENTS


def test_a_failed_swap_under_load_is_not_noticed(target, serving, tmp_path):
    _, askers, specs = serving
    with pytest.raises(LifecycleError):
        target.deploy(broken(specs[1], tmp_path))
    before = asked(askers)
    wait_until(lambda: asked(askers) > before + 100, 20, "they go on asking")
    stop(askers)
    assert target.describe("flights").status is Status.READY
    assert [a.failures + a.wrong for a in askers] == [[]] * CLIENTS
    assert [a.connections for a in askers] == [1] * CLIENTS
