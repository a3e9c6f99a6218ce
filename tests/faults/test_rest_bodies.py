"""Bodies that no client should send: each gets a 4xx in one shape, and the server goes on as before."""

from __future__ import annotations

import gzip
import http.client
import json
import select
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

pytestmark = pytest.mark.slow

SECRET = "s3cr3t-row-value"
GOOD = {
    "month": 1.0,
    "sched_dep_time": 515.0,
    "dep_delay": 2.0,
    "distance": 1400.0,
    "carrier": "UA",
    "origin": "EWR",
}
LIMIT = 2**20


def row(**changes) -> bytes:
    return json.dumps({"dataframe_records": [GOOD | changes]}).encode()


def with_number(literal: str) -> bytes:
    return row(dep_delay="@").replace(b'"@"', literal.encode())


def without(name: str) -> bytes:
    return json.dumps({"dataframe_records": [{k: v for k, v in GOOD.items() if k != name}]}).encode()


def split(columns, data) -> bytes:
    return json.dumps({"dataframe_split": {"columns": columns, "data": data}}).encode()


def csv(*lines: str) -> bytes:
    return "\n".join([",".join(GOOD), *lines]).encode()


BAD_JSON = {
    "empty": b"",
    "truncated": row()[:-5],
    "trailing bytes": row() + b"x",
    "not UTF-8": row().replace(b"UA", b"\xff\xfe"),
    "byte order mark": b"\xef\xbb\xbf" + row(),
    "lone surrogate": row().replace(b"UA", rb"\ud800"),
    "the same key twice": row().replace(b'"month"', b'"month": 2, "month"'),
    "the same shape twice": row().replace(b'{"data', b'{"dataframe_records": [], "data', 1),
    "the same key twice, spelt differently": row().replace(b'"month"', rb'"\u006donth": 2, "month"'),
    "100,000 keys": json.dumps({"dataframe_records": [GOOD | {f"k{i}": 1 for i in range(100_000)}]}).encode()[
        :900_000
    ],
    "nested 70 deep in a key that is ignored": row()[:-1] + b', "x": ' + b'[{"a":' * 35 + b"1" + b"}]" * 35 + b"}",
    "a boolean among numbers": split(list(GOOD), [list(GOOD.values()), [1, 515, True, 1400, "UA", "EWR"]]),
    "a nested cell": split(list(GOOD), [[1, 515, [2], 1400, "UA", "EWR"]]),
    "a split with another key": split(list(GOOD), []).replace(b'"data"', b'"x": 1, "data"'),
    "an index of another length": split(list(GOOD), []).replace(b'"data"', b'"index": [1], "data"'),
    "list": b"[1]",
    "number": b"3",
    "null": b"null",
    "none of the four keys": b"{}",
    "two of the four keys": b'{"inputs": [], "instances": []}',
    "100,000 brackets": b"[" * 100_000,
    "nested 50,000 deep": b'{"inputs":' * 50_000 + b"1" + b"}" * 50_000,
    "NaN": with_number("NaN"),
    "Infinity": with_number("Infinity"),
    "1e400": with_number("1e400"),
    "5,000 digits": with_number("9" * 5000),
    "true for a number": with_number("true"),
    "text for a number": row(dep_delay=SECRET),
    "list for a number": row(dep_delay=[1]),
    "object for a number": row(dep_delay={SECRET: 1}),
    "number for a text": row(carrier=5),
    "missing column": without("dep_delay"),
    "wrong case": without("dep_delay").replace(b'"month"', b'"Dep_Delay":1,"month"'),
    "records as an object": b'{"dataframe_records": {"month": 1}}',
    "split as a list": b'{"dataframe_split": [1]}',
    "ragged split": split(list(GOOD), [list(GOOD.values()), [1]]),
    "duplicate columns": split([*GOOD, "month"], [[*GOOD.values(), 1.0]]),
    "columns that are no list": split("month", []),
    "no columns": split([], [[]]),
    "unhashable columns": split([["month"]], [[1]]),
    "ragged inputs": json.dumps(
        {"inputs": {k: [v] * (2 if k == "month" else 1) for k, v in GOOD.items()}}
    ).encode(),
    "tensor for a table": b'{"inputs": [[1, 2], [3, 4]]}',
    "text for a table": b'{"instances": "' + SECRET.encode() + b'"}',
}

BAD_CSV = {
    "ragged": csv("1,2"),
    "open quote": csv('1,515,2,1400,"UA,EWR'),
    "the same column twice": csv("1,515,2,1400,UA,EWR").replace(b"origin", b"carrier"),
    "NUL": csv("1,515,2,1400,U\0A,EWR\0,"),
    "text for a number": csv(f"1,515,{SECRET},1400,UA,EWR"),
    "nothing": b"",
    "not UTF-8": csv("1,515,2,1400,\xff,EWR").decode().encode("latin-1"),
}

BAD_HEADERS = {
    "no content type": ([], 415),
    "text/plain": ([("Content-Type", "text/plain")], 415),
    "garbage type": ([("Content-Type", ";;=/")], 415),
    "UTF-16": ([("Content-Type", "application/json; charset=utf-16")], 415),
    "JSON that says it is Parquet": ([("Content-Type", "application/vnd.apache.parquet")], 400),
    "two content types": ([("Content-Type", "application/json"), ("Content-Type", "text/csv")], 415),
    "compressed": ([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], 415),
    "JSON that says it is Arrow": ([("Content-Type", "application/vnd.apache.arrow.stream")], 400),
}


@pytest.fixture(scope="module")
def deployed(lifecycle_models, rest):
    return rest.deploy(lifecycle_models[0].spec("flights", {"max_body_mb": "1"}))


@pytest.fixture
def post(deployed):
    """Send a body with exactly these headers, and check that the server is unharmed by it."""

    def send(body, headers, *, chunked=False):
        url = urlsplit(deployed.address)
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        connection.putrequest("POST", "/invocations")
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader(
            *(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(body))))
        )
        connection.endheaders()
        _send_until_answered(connection.sock, body if chunked else [body], chunked=chunked)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, answer

    yield send
    status, answer = send(row(), [("Content-Type", "application/json")])
    assert status == 200
    assert np.isfinite(json.loads(answer)["predictions"]).all()


def _send_until_answered(sock, parts, *, chunked) -> None:
    """As a client that listens: a refusal may come before the body has been sent, and then nobody reads it."""
    pieces = (part[at : at + 2**14] for part in parts for at in range(0, len(part), 2**14))
    for piece in pieces:
        if select.select([sock], [], [], 0)[0]:
            return
        sock.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
    if chunked:
        sock.sendall(b"0\r\n\r\n")


def memory_of(deployed) -> int:
    """Bytes of the server and the processes below it, which do the work."""
    server = psutil.Process(deployed.figures["pid"])
    return sum(process.memory_info().rss for process in [server, *server.children(recursive=True)])


def refused(status: int, answer: bytes) -> int:
    """The status of a proper refusal: our JSON (or text, about the media type), no row value, no traceback."""
    assert 400 <= status < 500, answer
    if status != 415:
        assert set(json.loads(answer)) - {"sqlstate", "error_class"} == {"error_code", "message"}
    assert SECRET.encode() not in answer
    assert b"Traceback" not in answer
    return status


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_malformed_json_is_refused(post, body):
    assert refused(*post(body, [("Content-Type", "application/json")])) == 400


@pytest.mark.parametrize("body", BAD_CSV.values(), ids=BAD_CSV)
def test_malformed_csv_is_refused(post, body):
    assert refused(*post(body, [("Content-Type", "text/csv")])) == 400


@pytest.mark.parametrize(("headers", "status"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_body_that_does_not_say_properly_what_it_is_is_refused(post, headers, status):
    assert refused(*post(row(), headers)) == status


def test_a_compressed_bomb_is_refused_unopened(post):
    bomb = gzip.compress(b" " * 100 * LIMIT)
    assert refused(*post(bomb, [("Content-Type", "application/json"), ("Content-Encoding", "gzip")])) == 415


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_beyond_the_limit_is_refused_and_never_held(post, deployed, chunked):
    before = memory_of(deployed)
    body = [b" " * 2**14] * 2560 if chunked else b" " * 40 * LIMIT
    assert refused(*post(body, [("Content-Type", "application/json")], chunked=chunked)) == 413
    assert memory_of(deployed) - before < 20 * LIMIT


@pytest.mark.parametrize(
    "body",
    [
        split(list(GOOD), []),
        row(extra=SECRET),
        with_number("-0"),
        with_number("9223372036854775808"),
        with_number("null"),
        split([*list(GOOD)[::-1]], [list(GOOD.values())[::-1]]),
        row(origin='=1+1,"x"'),
    ],
    ids=[
        "no rows",
        "an extra column",
        "minus zero",
        "2**63 for a double",
        "a missing number",
        "other order",
        "a formula",
    ],
)
def test_odd_but_legal_bodies_get_valid_json(post, body):
    status, answer = post(body, [("Content-Type", "application/json")])
    assert status == 200
    assert "predictions" in json.loads(answer, parse_constant=pytest.fail)
