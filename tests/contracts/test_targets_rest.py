from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from lifecycle.errors import Conflict, OptionError
from lifecycle.processes.process import free_port, owned_by_me, wait_until
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import Example, TargetContract, in_place_of
from tests.proof import rounds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _servers_end_with_the_tests():
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        yield


class TestRestTarget(TargetContract):
    @pytest.fixture
    def target(self, context) -> RestTarget:
        return RestTarget(context)

    @pytest.fixture
    def first(self, lifecycle_models) -> Example:
        return lifecycle_models[0].example("flights", {"max_body_mb": "4"})

    @pytest.fixture
    def second(self, lifecycle_models) -> Example:
        return lifecycle_models[1].example("flights-next", {"max_body_mb": "4"})

    def test_the_server_of_a_compiled_model_loads_neither_mlflow_nor_scikit_learn_nor_pandas(self, target, first):
        pid = target.deploy(first.spec).figures["pid"]
        (worker,) = psutil.Process(pid).children()
        mapped = Path(f"/proc/{worker.pid}/maps").read_text()
        assert "onnxruntime" in mapped
        # Every one of these maps compiled extensions; mlflow, all Python, never comes without pandas.
        assert [name for name in ("pandas", "sklearn", "pyarrow", "scipy") if f"/{name}/" in mapped] == []

    def test_pyfunc_answers_the_same_where_nothing_is_compiled(self, target, first, lifecycle_models):
        deployed = target.deploy(lifecycle_models[0].spec("by-pyfunc", pyfunc=True))
        assert deployed.figures["scorer"] == "pyfunc"
        np.testing.assert_allclose(target.predict("by-pyfunc", first.rows), first.expected, rtol=1e-12)

    def test_a_given_port_is_where_it_answers(self, target, first):
        port = free_port()
        deployed = target.deploy(replace(first.spec, options={"port": str(port)}))
        assert deployed.address == f"http://127.0.0.1:{port}"

    def test_moving_a_deployment_that_answers_is_refused(self, target, lifecycle_models):
        before = target.deploy(lifecycle_models[0].spec("flights"))
        with pytest.raises(Conflict, match="undeploy"):
            target.deploy(lifecycle_models[1].spec("flights", {"port": str(free_port())}))
        assert target.describe("flights") == before

    @pytest.mark.parametrize(
        "options", [{"port": "http"}, {"port": "70000"}, {"max_in_flight": "0"}, {"host": ""}]
    )
    def test_an_unusable_option_is_refused_by_name(self, target, lifecycle_models, options):
        with pytest.raises(OptionError, match=next(iter(options))):
            target.deploy(lifecycle_models[0].spec("flights", options))

    def test_swaps_under_constant_requests_fail_none_and_tell_which_version_answered(self, target, first, second):
        deployed = target.deploy(first.spec)
        swaps = Swaps(settled=first.spec.version)
        clients = [Client(deployed.address, first.rows, swaps, keep_alive=alive) for alive in (True, False)]
        for client in clients:
            client.start()
        try:
            for spec in (in_place_of(first, second), first.spec) * rounds(10, 2):
                swaps.begin()
                target.deploy(spec)
                swaps.end(spec.version)
                counts = [len(client.answers) for client in clients]
                wait_until(
                    lambda counts=counts: all(
                        len(c.answers) > n + 2 or c.failures for c, n in zip(clients, counts, strict=True)
                    ),
                    20,
                    "the clients go on asking",
                )
        finally:
            swaps.over = True
            for client in clients:
                client.join()
        expected = {e.spec.version: e.expected for e in (first, second)}
        for client in clients:
            assert client.failures == []
            assert {answer.version for answer in client.answers} == set(expected)
            assert [a for a in client.answers if a.must_be not in (None, a.version)] == []
            for answer in client.answers:
                np.testing.assert_allclose(answer.predictions, expected[answer.version], rtol=1e-6, atol=1e-7)


@dataclass
class Swaps:
    """Which version is deployed; None while a deploy() is running."""

    settled: int | None
    begun: int = 0
    over: bool = False

    def begin(self) -> None:
        self.begun += 1
        self.settled = None

    def end(self, version: int) -> None:
        self.settled = version


@dataclass
class Answer:
    version: int
    must_be: int | None  # the only version it may come from, where no deploy() ran meanwhile
    predictions: np.ndarray


@dataclass(eq=False)
class Client(threading.Thread):
    address: str
    rows: dict
    swaps: Swaps
    keep_alive: bool
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.body = json.dumps({"inputs": {name: column.tolist() for name, column in self.rows.items()}})

    def run(self) -> None:
        connection = connect(self.address)
        while not self.swaps.over:
            begun, settled = self.swaps.begun, self.swaps.settled
            try:
                response, body = post(connection, self.body)
            except OSError as exc:
                self.failures.append(repr(exc))
                return
            if response.status != 200:
                self.failures.append(f"{response.status} {body!r}")
                return
            version = int(response.getheader("X-Lifecycle-Version"))
            must_be = settled if self.swaps.begun == begun else None
            self.answers.append(Answer(version, must_be, np.array(json.loads(body)["predictions"])))
            if not self.keep_alive:
                connection.close()
        connection.close()


def connect(address: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(address).hostname, urlsplit(address).port, timeout=20)


def post(connection, body):
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response, response.read()
