"""Clients that are slow, many or endless: they are cut, and the others do not notice. Figures are logged."""

from __future__ import annotations

import logging
import socket
import statistics
import time
from contextlib import ExitStack

import pytest

from lifecycle.processes.process import wait_until
from lifecycle.serving import body, http_protocol
from lifecycle.serving.settings import Settings
from tests.proof import FULL, rounds
from tests.serving_here import numbers, serving

pytestmark = pytest.mark.slow

SLOW_CLIENTS = rounds(500, 50)
PATIENCE_S = http_protocol._HEAD_S if FULL else 1.0
GOOD = {"inputs": {"x": [1.0], "y": [2.0], "z": [3.0]}}
HEAD = b"POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"


@pytest.fixture
def here(monkeypatch, request):
    monkeypatch.setattr(http_protocol, "_HEAD_S", PATIENCE_S)
    monkeypatch.setattr(http_protocol, "_READ_S", PATIENCE_S)
    monkeypatch.setattr(body, "_DEADLINE_S", PATIENCE_S)
    settings = getattr(request, "param", Settings())
    with serving({"d": numbers()}, settings) as server:
        yield server


class Client:
    """A connection that its owner is in no hurry with."""

    def __init__(self, server) -> None:
        host, port = server.address.split(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setblocking(False)
        self.heard = b""

    def send(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except OSError:
            self.closed()

    def closed(self) -> bool:
        """Whether the server has ended it."""
        try:
            while data := self.socket.recv(2**16):
                self.heard += data
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()


def seconds_to_answer(server) -> float:
    started = time.perf_counter()
    assert server.ask("POST", "/invocations", GOOD).json == {"predictions": [321.0]}
    return time.perf_counter() - started


@pytest.mark.parametrize(
    ("start", "drop", "status"),
    [(b"", HEAD, b"408"), (HEAD + b"content-length: 1000\r\n\r\n", b" " * 1000, b"408")],
    ids=["headers", "bodies"],
)
def test_clients_that_send_a_byte_at_a_time_are_cut_and_the_others_answered_meanwhile(here, start, drop, status):
    alone = [seconds_to_answer(here) for _ in range(30)]
    with ExitStack() as stack:
        slow = [stack.enter_context(Client(here)) for _ in range(SLOW_CLIENTS)]
        for client in slow:
            client.send(start)
        beside, sent, began = [], 0, time.monotonic()
        open_ones = slow
        while open_ones and time.monotonic() - began < 4 * PATIENCE_S + 10:
            for client in open_ones:
                client.send(drop[sent : sent + 1])
            sent += 1
            beside += [seconds_to_answer(here) for _ in range(20)]
            open_ones = [client for client in open_ones if not client.closed()]
            time.sleep(0.2)
        assert open_ones == []
        assert all(client.heard[9:12] in (status, b"") for client in slow)
    assert here.state.in_flight == 0
    p99 = statistics.quantiles(beside, n=100)[98]
    logging.getLogger(__name__).info(
        "%d slow clients gone after %.1f s; beside them a normal one took %.2f ms (p99 %.2f), alone %.2f ms",
        SLOW_CLIENTS,
        time.monotonic() - began,
        1000 * statistics.median(beside),
        1000 * p99,
        1000 * statistics.median(alone),
    )


def test_headers_without_end_are_cut_however_fast_they_come(here):
    with Client(here) as client:
        client.send(b"GET /livez HTTP/1.1\r\n")
        for _ in range(1000):
            client.send(b"x-padding: " + b"x" * 1000 + b"\r\n")
        wait_until(client.closed, 10, "it is cut")
        assert client.heard.startswith(b"HTTP/1.1 431") or client.heard == b""


def test_a_client_that_does_not_read_its_answers_is_cut(here):
    column = b"[" + b",".join([b"1.5"] * 20_000) + b"]"
    content = b'{"inputs": {"x": ' + column + b', "y": ' + column + b', "z": ' + column + b"}}"
    request = HEAD + b"content-length: %d\r\n\r\n" % len(content) + content
    with Client(here) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.setblocking(True)
        client.socket.settimeout(2)
        gone = False
        deadline = time.monotonic() + 30
        while not gone and time.monotonic() < deadline:
            try:
                client.socket.sendall(request)
            except TimeoutError:
                continue
            except OSError:
                gone = True
        assert gone
    wait_until(lambda: here.state.in_flight == 0, 10, "its place is free again")


def test_a_body_that_nobody_reads_any_more_is_not_taken_for_ever(here):
    with Client(here) as client:
        client.socket.setblocking(True)
        client.socket.settimeout(10)
        client.send(HEAD + b"content-length: %d\r\n\r\n" % 10**12)
        with pytest.raises(ConnectionError):
            client.socket.sendall(bytes(200 * 2**20))


@pytest.mark.parametrize("here", [Settings(max_connections_per_client=5)], indirect=True)
def test_one_address_has_only_so_many_connections_and_gets_them_back(here):
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(here)) for _ in range(8)]
        wait_until(lambda: sum(client.closed() for client in clients) == 3, 5, "three are sent away")
        assert [c.heard[:12] for c in clients if c.heard] == [b"HTTP/1.1 503"] * 3
    wait_until(lambda: here.ask("GET", "/livez").status == 200, 10, "there is room again")


def test_a_request_whose_header_says_nonsense_about_its_body_is_refused(here):
    for header in (b"content-length: 1e3", b"content-length: -1", b"content-length: 5\r\ncontent-length: 6"):
        with Client(here) as client:
            client.send(HEAD + header + b"\r\n\r\n")
            wait_until(client.closed, 5, "it is cut")
            assert client.heard.startswith(b"HTTP/1.1 400")


def test_a_body_that_is_shorter_than_announced_is_waited_for_and_refused(here):
    with Client(here) as client:
        client.send(HEAD + b"content-length: 100\r\n\r\n{}")
        wait_until(client.closed, 3 * PATIENCE_S + 5, "it is cut")
        assert client.heard.startswith(b"HTTP/1.1 408")
