"""Several deployments behind one server, each brought up, moved on and taken down by itself."""

from __future__ import annotations

import os
import signal
from urllib.parse import urlsplit

import numpy as np
import pytest

from lifecycle.domain.deployment import Status
from lifecycle.errors import Conflict, LifecycleError, NotFound, OptionError, Unavailable
from lifecycle.processes.process import wait_until
from lifecycle.testing.target_contract import broken
from tests.faults.asking import processes_of, workers_of

pytestmark = pytest.mark.slow


@pytest.fixture
def host(target, lifecycle_models):
    return target.deploy(lifecycle_models[0].spec("flights"))


def guest(model, **options):
    return model.spec("delays", {"server": "flights", **options})


def same(answer, model) -> bool:
    return np.allclose(answer, model.expected, rtol=1e-6, atol=1e-7)


def test_a_guest_has_its_own_versions_on_the_hosts_server(target, home, host, lifecycle_models):
    first, second = lifecycle_models
    deployed = target.deploy(guest(second))
    assert deployed.address == f"{host.address}/models/delays"
    assert (deployed.status, deployed.version) == (Status.READY, 2)
    assert same(target.predict("delays", first.rows), second)
    assert same(target.predict("flights", first.rows), first)
    target.deploy(guest(first))
    target.deploy(second.spec("flights"))
    assert same(target.predict("delays", first.rows), first)
    assert same(target.predict("flights", first.rows), second)
    assert len(processes_of(home)) == 2
    assert [d.name for d in target.list()] == ["delays", "flights"]


def test_a_guest_that_leaves_answers_no_more_and_the_host_stays_for_as_long_as_it_has_guests(
    target, host, lifecycle_models
):
    deployed = target.deploy(guest(lifecycle_models[1]))
    with pytest.raises(Conflict, match="delays"):
        target.undeploy("flights")
    target.undeploy("delays")
    with pytest.raises(NotFound):
        target.describe("delays")
    assert answers(deployed.address) == 404
    assert target.describe("flights") == host
    target.undeploy("flights")
    assert target.list() == []


def answers(address: str) -> int:
    import http.client

    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    connection.request("POST", f"{url.path}/invocations", b"{}", {"Content-Type": "application/json"})
    return connection.getresponse().status


def test_a_guest_that_does_not_come_up_leaves_everybody_as_they_were(target, host, lifecycle_models, tmp_path):
    first, second = lifecycle_models
    with pytest.raises(LifecycleError):
        target.deploy(broken(guest(second), tmp_path / "a"))
    assert [d.name for d in target.list()] == ["flights"]
    before = target.deploy(guest(second))
    with pytest.raises(LifecycleError):
        target.deploy(broken(guest(first), tmp_path / "b"))
    assert target.describe("delays").version == before.version
    assert same(target.predict("delays", first.rows), second)
    assert same(target.predict("flights", first.rows), first)


def test_guests_come_back_with_a_host_that_was_killed(target, home, host, lifecycle_models):
    first, second = lifecycle_models
    target.deploy(guest(second))
    os.kill(host.figures["pid"], signal.SIGKILL)
    wait_until(lambda: target.describe("delays").status is Status.STOPPED, 5, "it is told")
    with pytest.raises(Unavailable, match="'flights'"):
        target.deploy(guest(second))
    target.deploy(first.spec("flights"))
    wait_until(lambda: target.describe("delays").status is Status.READY, 20, "the guest is back")
    assert same(target.predict("delays", first.rows), second)


def test_a_killed_worker_comes_back_with_every_guest(target, home, host, lifecycle_models):
    target.deploy(guest(lifecycle_models[1]))
    (worker,) = workers_of(home)
    os.kill(worker, signal.SIGKILL)
    assert same(target.predict("delays", lifecycle_models[0].rows), lifecycle_models[1])


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"server": "nobody"}, NotFound),
        ({"server": "delays"}, OptionError),
        ({"server": "flights", "workers": "2"}, OptionError),
    ],
)
def test_a_guest_of_nobody_or_with_options_of_a_server_is_refused(target, host, lifecycle_models, options, error):
    with pytest.raises(error):
        target.deploy(lifecycle_models[1].spec("delays", options))
    assert [d.name for d in target.list()] == ["flights"]


def test_neither_guests_of_guests_nor_moving_house(target, host, lifecycle_models):
    target.deploy(guest(lifecycle_models[1]))
    with pytest.raises(Conflict, match="itself on the server of 'flights'"):
        target.deploy(lifecycle_models[1].spec("more", {"server": "delays"}))
    with pytest.raises(Conflict, match="undeploy it"):
        target.deploy(lifecycle_models[1].spec("delays"))
