"""Random requests: no crash, no hang, no 5xx that a client caused, and no memory that stays."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import sys
from collections import Counter
from time import perf_counter
from urllib.parse import quote, urlsplit

import numpy as np
import psutil
import pytest

from lifecycle.processes.process import owned_by_me
from lifecycle.scoring.signature import Column, Param, Signature
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.measures import Measures
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context
from tests.faults.fuzzing import Fuzzed, Fuzzer
from tests.proof import rounds

pytestmark = pytest.mark.slow

IN_PROCESS = rounds(100_000, 5_000)
OVER_THE_WIRE = rounds(10_000, 500)
GROWTH = 32 * 2**20
SETTINGS = Settings(max_body=2**20)
SIGNATURES = {
    "numbers": Signature(tuple(Column(name, "double") for name in "xyz"), params=(Param("k", "long", 1),)),
    "mixed": Signature(
        (
            Column("d", "double"),
            Column("l", "long"),
            Column("t", "string", required=False),
            Column("b", "boolean"),
            Column("w", "datetime"),
        )
    ),
    "tensor": Signature((Column("", "float32", (-1, 2)),)),
}


class Suspicious:
    """A scorer that breaks unless it is given exactly what its signature promises."""

    kind = "compiled"

    def __init__(self, signature: Signature) -> None:
        self.signature = signature

    def predict(self, batch, params=None):
        rows = {len(values) for values in batch.values()}
        if len(rows) != 1 or set(batch) != set(self.signature.names):
            raise AssertionError("not the columns of the signature")
        for column in self.signature.inputs:
            values = batch[column.name]
            if values.dtype != column.dtype or values.ndim != len(column.shape or (0,)):
                raise AssertionError(f"{column.name} is {values.dtype} of {values.ndim} dimensions")
            if column.type == "string" and not {type(v) for v in values} <= {str, type(None)}:
                raise AssertionError("a text is none")
        if [type(value) for value in (params or {}).values()] not in ([], [int], [type(None)]):
            raise AssertionError("a parameter is of another type")
        return np.ones(rows.pop())

    def close(self) -> None:
        pass


@pytest.fixture
def seed() -> int:
    chosen = random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"seed {chosen}\n")
    return chosen


def test_no_request_breaks_the_application(seed):
    state = State(Releases("mixed"), SETTINGS)
    for name, signature in SIGNATURES.items():
        desired = Desired(1, name, "m", 1, "ab", "/s", "", SETTINGS)
        state.releases.switch(Release(desired, InProcess(Suspicious(signature), SETTINGS, Measures())))
    application = Application(state, routes_of(state), OpenAccess(), [])
    statuses, slowest, grown = asyncio.run(_ask_all(application, Fuzzer(seed)))
    figures = f"slowest {slowest * 1e3:.1f} ms, memory grew by {grown / 2**20:.1f} MiB"
    sys.stdout.write(f"{IN_PROCESS} requests: {dict(statuses)}, {figures}\n")
    assert statuses[200] > IN_PROCESS / 20
    assert statuses[400] > IN_PROCESS / 20
    assert grown < GROWTH
    assert state.in_flight == 0


async def _ask_all(application, fuzzer) -> tuple[Counter[int], float, int]:
    statuses, slowest, before = Counter(), 0.0, 0
    for number in range(IN_PROCESS):
        if number == IN_PROCESS // 3:  # by then everything is imported and cached
            before = psutil.Process().memory_info().rss
        request = fuzzer.request()
        start = perf_counter()
        status = await asyncio.wait_for(_ask(application, request), 10)
        slowest = max(slowest, perf_counter() - start)
        statuses[status] += 1
    return statuses, slowest, psutil.Process().memory_info().rss - before


async def _ask(application, request: Fuzzed) -> int:
    scope = {
        "type": "http",
        "method": request.method,
        "path": request.path,
        "raw_path": quote(request.path).encode(),
        "headers": [*request.headers, (b"content-length", b"%d" % len(request.body))],
        "query_string": request.query,
    }
    incoming, sent = iter([{"type": "http.request", "body": request.body, "more_body": False}]), []

    async def receive():
        message = next(incoming, None)
        return message or await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    status, body = sent[0]["status"], sent[1]["body"]
    assert 200 <= status < 500, (status, body, request)
    if (
        (b"content-type", b"application/json") in sent[0]["headers"]
        and request.path != "/version"
        and body.strip()
    ):
        json.loads(body, parse_constant=pytest.fail)
    assert b"Traceback" not in body
    return status


def test_no_request_breaks_a_server(seed, lifecycle_models, tmp_path):
    target = RestTarget(folder_context(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        deployed = target.deploy(lifecycle_models[0].spec("mixed", {"max_body_mb": "1"}))
        try:
            statuses = _ask_over_the_wire(deployed, Fuzzer(seed))
            assert len(target.predict("mixed", lifecycle_models[0].rows)) == len(lifecycle_models[0].expected)
        finally:
            target.undeploy("mixed")
    sys.stdout.write(f"{OVER_THE_WIRE} requests: {dict(statuses)}\n")
    assert max(statuses) < 500


def _ask_over_the_wire(deployed, fuzzer) -> Counter[int]:
    url, statuses = urlsplit(deployed.address), Counter()
    for _ in range(OVER_THE_WIRE):
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
        statuses[_answered(connection, fuzzer.request())] += 1
        connection.close()
    return statuses


def _answered(connection: http.client.HTTPConnection, request: Fuzzed) -> int:
    method = request.method if request.method.isalpha() else "POST"
    connection.putrequest(method, quote(request.path, safe="/%:"))
    for name, value in [*request.headers, (b"content-length", b"%d" % len(request.body))]:
        connection.putheader(name.decode(), value)
    connection.endheaders(request.body)
    response = connection.getresponse()
    response.read()
    return response.status
