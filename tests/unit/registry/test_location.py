"""A registry that cannot answer says so at once."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lifecycle.errors import Unavailable
from lifecycle.registry.location import check_reachable


@pytest.fixture
def port_of_nobody() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://user:secret@127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_no_server(port_of_nobody):
    with pytest.raises(Unavailable, match=f"no MLflow server answers at 127.0.0.1:{port_of_nobody}") as caught:
        check_reachable(f"http://user:secret@127.0.0.1:{port_of_nobody}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("answering", [200, 401, 404], indirect=True)
def test_a_server_that_answers_anything_sensible_is_there(answering):
    check_reachable(answering)


@pytest.mark.parametrize("answering", [500, 502, 503], indirect=True)
def test_a_server_or_proxy_that_is_broken(answering):
    with pytest.raises(Unavailable, match="answers with status 50"):
        check_reachable(answering)


@pytest.mark.parametrize("scheme", ["sqlite", "lifecycle+sqlite"])
def test_databases(tmp_path, scheme):
    path = tmp_path / "mlflow.db"
    with pytest.raises(Unavailable, match="no readable database"):
        check_reachable(f"{scheme}:///{path}")
    assert not path.exists()
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table t (x)")
    check_reachable(f"{scheme}:///{path}")
    path.write_bytes(b"nonsense" * 100)
    with pytest.raises(Unavailable, match="not an SQLite database"):
        check_reachable(f"{scheme}:///{path}")


@pytest.mark.parametrize(
    "uri", ["sqlite://", "sqlite:///:memory:", "databricks", "file:///tmp/x", "postgresql://h/db"]
)
def test_other_places_are_not_looked_at(uri):
    check_reachable(uri)
