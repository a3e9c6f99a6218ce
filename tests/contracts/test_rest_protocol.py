"""What any HTTP client sees of a running server."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import socket
from urllib.parse import urlsplit

import numpy as np
import pytest

from lifecycle.processes.process import wait_until
from lifecycle.testing.target_contract import Example

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example(lifecycle_models) -> Example:
    return lifecycle_models[0].example("flights", {"max_body_mb": "0.5", "max_pending_mb": "0.5"})


@pytest.fixture(scope="module")
def deployed(example, rest):
    return rest.deploy(example.spec)


@pytest.fixture
def ask(deployed):
    def ask(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(*address_of(deployed), timeout=20)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        assert response.getheader("X-Lifecycle-Model") == "flights-delay"
        assert response.getheader("X-Lifecycle-Version") == "1"
        assert response.getheader("X-Lifecycle-Digest") == deployed.digest
        return response, content

    return ask


@pytest.mark.parametrize("path", ["/ping", "/health", "/livez", "/readyz"])
def test_probes_answer_as_mlflows_do(ask, path):
    response, body = ask("GET", path)
    assert (response.status, body, response.getheader("Content-Type")) == (200, b"\n", "application/json")


def test_version_is_mlflows_own(ask):
    assert ask("GET", "/version")[1].decode() == importlib.metadata.version("mlflow")


@pytest.mark.parametrize("path", ["/", "/metadata"])
def test_metadata_says_what_answers(ask, deployed, path):
    assert json.loads(ask("GET", path)[1]) == {
        "name": "flights",
        "model": "flights-delay",
        "version": 1,
        "digest": deployed.digest,
        "scorer": "compiled",
    }


@pytest.mark.parametrize("shape", ["dataframe_split", "dataframe_records", "inputs", "csv"])
def test_every_shape_of_mlflows_protocol_gives_the_same_predictions(ask, example, shape):
    names, rows = list(example.rows), list(zip(*(c.tolist() for c in example.rows.values()), strict=True))
    content = {
        "dataframe_split": {"columns": names, "data": rows},
        "dataframe_records": [dict(zip(names, row, strict=True)) for row in rows],
        "inputs": {name: example.rows[name].tolist() for name in names},
    }
    body, content_type = json.dumps({shape: content.get(shape)}), "application/json; charset=utf-8"
    if shape == "csv":
        body, content_type = "\n".join(",".join(map(str, line)) for line in [names, *rows]), "text/csv"
    response, answer = ask("POST", "/invocations", body, {"Content-Type": content_type})
    assert response.status == 200
    np.testing.assert_allclose(json.loads(answer)["predictions"], example.expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "ENDPOINT_NOT_FOUND"),
        ("GET", "/invocations", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/ping", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_other_paths_and_methods_are_refused_in_one_shape(ask, method, path, status, code):
    response, body = ask(method, path)
    assert (response.status, json.loads(body)["error_code"]) == (status, code)


def test_a_declared_size_beyond_the_limit_is_refused_before_the_body_is_sent(deployed):
    with raw(deployed, b"Content-Length: 99999999\r\n\r\n") as client:
        assert b" 413 " in client.recv(4096).split(b"\r\n")[0]


@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_who_sends_it_all_the_same_still_gets_the_refusal(deployed, connection):
    client = http.client.HTTPConnection(*address_of(deployed), timeout=20)
    headers = {"Content-Type": "application/json", "Connection": connection}
    client.request("POST", "/invocations", b" " * 50_000_000, headers)
    assert client.getresponse().status == 413


def test_a_full_server_says_so_and_when_to_come_back(deployed, ask):
    body = b" " * 300_000
    with raw(deployed, b"Content-Length: 300000\r\n\r\n" + body[:-1]) as slow:
        answers = []

        def refused() -> bool:
            answers.append(ask("POST", "/invocations", body, {"Content-Type": "application/json"})[0])
            return answers[-1].status == 429

        wait_until(refused, 10, "there is no room for a second body")
        assert int(answers[-1].getheader("Retry-After")) > 0
        assert ask("GET", "/readyz")[0].status == 200
        slow.sendall(b" ")
        assert b" 400 " in slow.recv(4096).split(b"\r\n")[0]
    assert ask("POST", "/invocations", body, {"Content-Type": "application/json"})[0].status == 400


def address_of(deployed) -> tuple[str, int]:
    url = urlsplit(deployed.address)
    return url.hostname, url.port


def raw(deployed, rest: bytes) -> socket.socket:
    """A connection that has sent the head of a JSON request and then ``rest``."""
    client = socket.create_connection(address_of(deployed), timeout=20)
    client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + rest)
    return client
