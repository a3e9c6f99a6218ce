"""HTTP as our protocol class speaks it: answers in order, on connections that stay or end as agreed."""

from __future__ import annotations

import socket

import pytest

from lifecycle.serving.header_lines import line_of
from tests.serving_here import numbers, serving

pytestmark = pytest.mark.slow

BODY = b'{"inputs": {"x": [%d], "y": [0], "z": [0]}}'


@pytest.fixture(scope="module")
def here():
    with serving({"d": numbers()}) as server:
        yield server


def request(number: int, version: bytes = b"1.1", *headers: bytes) -> bytes:
    body = BODY % number
    lines = [b"POST /invocations HTTP/" + version, b"host: h", b"content-type: application/json", *headers]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])


def converse(server, sent: bytes, *, until_closed: bool = False, ends_with: bytes = b"") -> bytes:
    host, port = server.address.split(":")
    heard = b""
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(sent)
        while until_closed or not heard.endswith(ends_with):
            data = client.recv(2**16)
            if not data:
                break
            heard += data
    return heard


def test_requests_that_are_sent_without_waiting_are_answered_in_order(here):
    heard = converse(here, b"".join(request(i) for i in range(1, 51)), ends_with=b'{"predictions":[50.0]}')
    assert [part.partition(b"}")[0] for part in heard.split(b'{"predictions":')[1:]] == [
        b"[%d.0]" % i for i in range(1, 51)
    ]
    assert heard.count(b"HTTP/1.1 200 OK\r\n") == 50


def test_a_client_that_wants_to_close_is_closed(here):
    for sent in (request(3, b"1.1", b"connection: close"), request(3, b"1.0")):
        heard = converse(here, sent, until_closed=True)
        assert heard.lower().count(b"connection: close\r\n") == 1
        assert heard.endswith(b'{"predictions":[3.0]}')


def test_a_client_that_asks_first_whether_it_may_send_is_told_to_go_on(here):
    heard = converse(here, request(4, b"1.1", b"expect: 100-continue"), ends_with=b'{"predictions":[4.0]}')
    assert b"HTTP/1.1 200 OK" in heard


def test_a_body_in_chunks_is_read(here):
    body = BODY % 5
    head = b"POST /invocations HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    heard = converse(here, head + b"transfer-encoding: chunked\r\n\r\n" + chunks, ends_with=b"[5.0]}")
    assert heard.startswith(b"HTTP/1.1 200")


def test_what_is_no_http_is_refused(here):
    assert converse(here, b"\x16\x03\x01 hello\r\n\r\n", until_closed=True).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("header", [(b"x", b"a\r\nset-cookie: b"), (b"x y", b"a"), (b"x", b"\0"), (b"", b"a")])
def test_no_header_can_smuggle_in_another(header):
    with pytest.raises(ValueError, match="not allowed"):
        line_of(header)
