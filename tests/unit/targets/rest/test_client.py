from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import orjson
import pytest

from lifecycle.errors import Unavailable
from lifecycle.processes.process import free_port
from lifecycle.scoring.signature import InvalidInput
from lifecycle.targets.rest.client import ask


@pytest.fixture
def server():
    """A server that answers whatever it is told to, and remembers what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.server.received = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(self.server.answer)

        def log_message(self, *_) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.answer = 200, b'{"predictions": []}'
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_every_kind_of_column_travels(server):
    rows = {
        "number": np.array([1.5, np.nan]),
        "whole": np.array([1, 2**62]),
        "truth": np.array([True, False]),
        "text": np.array(["a", None], dtype=object),
        "time": np.array(["2026-01-02T03:04:05", "NaT"], dtype="datetime64[ns]"),
    }
    ask(server.address, rows)
    assert server.received == {
        "inputs": {
            "number": [1.5, None],
            "whole": [1, 2**62],
            "truth": [True, False],
            "text": ["a", None],
            "time": ["2026-01-02T03:04:05.000000000", None],
        }
    }


def test_an_unnamed_tensor_travels_bare_and_a_named_one_by_name(server):
    tensor = np.array([[1, 2], [3, 4]], dtype=np.float32)
    ask(server.address, {"": tensor})
    assert server.received == {"inputs": [[1.0, 2.0], [3.0, 4.0]]}
    ask(server.address, {"t": tensor.T})
    assert server.received == {"inputs": {"t": [[1.0, 3.0], [2.0, 4.0]]}}


def test_predictions_come_back_as_arrays(server):
    server.answer = b'{"predictions": [[0.25, null], [1, 2]]}'
    np.testing.assert_array_equal(ask(server.address, {}), [[0.25, np.nan], [1, 2]])
    server.answer = b'{"predictions": [{"y": 1.5, "label": "a"}, {"y": null, "label": null}]}'
    answer = ask(server.address, {})
    np.testing.assert_array_equal(answer["y"], [1.5, np.nan])
    assert answer["label"].tolist() == ["a", None]


@pytest.mark.parametrize(
    ("status", "answer", "error", "says"),
    [
        (400, b'{"error_code": "BAD_REQUEST", "message": "column \'a\' is missing"}', InvalidInput, "column 'a'"),
        (413, b'{"error_code": "REQUEST_TOO_LARGE", "message": "too large"}', InvalidInput, "too large"),
        (429, b'{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "try again"}', Unavailable, "429: try again"),
        (503, b"<html>", Unavailable, "503"),
    ],
)
def test_refusals_are_errors_that_say_what_the_server_said(server, status, answer, error, says):
    server.status, server.answer = status, answer
    with pytest.raises(error, match=says):
        ask(server.address, {})


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match="does not answer"):
        ask(f"http://127.0.0.1:{free_port()}", {})
