"""Ten times more than can be done: what can is done, the rest is told at once, and nothing is done for nobody.

Counts are asserted; figures are logged, since times depend on the machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import time
from collections import Counter
from time import perf_counter

import pytest

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State
from tests.proof import FULL

SECONDS = 60.0 if FULL else 2.0
FIXED_S, ROW_S, PLACES = 0.02, 0.001, 16
SETTINGS = Settings(max_in_flight=2 * PLACES, workers=10**6)  # more workers than cores: each has one thread
PATIENT = 60_000


class Costly:
    """A scorer that takes its time and remembers whom it worked for, and since when."""

    signature = Signature((Column("x", "double"),))
    kind = "compiled"

    def __init__(self) -> None:
        self.begun: dict[float, float] = {}
        self.sizes: list[int] = []

    def predict(self, batch, params=None):
        self.sizes.append(len(batch["x"]))
        self.begun |= dict.fromkeys(batch["x"].tolist(), perf_counter())
        time.sleep(FIXED_S + ROW_S * len(batch["x"]))
        return batch["x"] * 2

    def close(self) -> None:
        pass


class Server:
    """The application over a costly model."""

    def __init__(self) -> None:
        self.scorer = Costly()
        self.state = State(Releases("d"), SETTINGS)
        engine = InProcess(self.scorer, SETTINGS, self.state.measures)
        for rows in (1, PLACES):
            engine.measured(rows, FIXED_S + ROW_S * rows)
        self.state.releases.switch(Release(Desired(1, "d", "m", 1, "ab", "/s", "", SETTINGS), engine))
        self.application = Application(self.state, routes_of(self.state), OpenAccess(), [])
        self.statuses: Counter[int] = Counter()
        self.refused_in: list[float] = []
        self.deadlines: dict[float, float] = {}
        self.answered: set[float] = set()

    async def ask(self, number: float, timeout_ms: int = PATIENT) -> int:
        headers = [
            (b"content-type", b"application/json"),
            (b"x-lifecycle-timeout-ms", b"%d" % timeout_ms),
        ]
        scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers, "query_string": b""}
        body = [{"type": "http.request", "body": b'{"inputs": {"x": [%d]}}' % number, "more_body": False}]
        sent, began = [], perf_counter()
        self.deadlines[number] = began + timeout_ms / 1000

        async def receive():
            if body:
                return body.pop()
            return await asyncio.get_running_loop().create_future()  # the client stays

        async def send(message):
            sent.append(message)

        await self.application(scope, receive, send)
        status = sent[0]["status"]
        if status == 200:
            assert json.loads(sent[1]["body"]) == {"predictions": [2.0 * number]}
            self.answered.add(number)
        if status == 429:
            assert any(name == b"retry-after" for name, _ in sent[0]["headers"])
            self.refused_in.append(perf_counter() - began)
        self.statuses[status] += 1
        return status


async def as_many_as_can_be_answered(server: Server, seconds: float) -> float:
    """Answers a second, when every client waits for the last answer before it asks again."""
    end, numbers = perf_counter() + seconds, iter(range(1, 10**9))

    async def client():
        while perf_counter() < end:
            await server.ask(next(numbers))

    await asyncio.gather(*(client() for _ in range(2 * PLACES)))
    return server.statuses[200] / seconds


async def ask_at(server: Server, rate: float, seconds: float, timeout_ms: int) -> int:
    """That many requests a second, whether they are answered or not. Returns how many there were."""
    tasks: set[asyncio.Task[int]] = set()
    offered, began = 0, perf_counter()
    while (now := perf_counter()) - began < seconds:
        while offered < (now - began) * rate:
            offered += 1
            task = asyncio.create_task(server.ask(offered, timeout_ms))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return offered


@pytest.mark.parametrize("timeout_ms", [PATIENT, 120])
def test_ten_times_more_than_can_be_done(timeout_ms):
    async def main():
        calm = Server()
        capacity = await as_many_as_can_be_answered(calm, min(SECONDS, 5.0))
        full = statistics.mean(calm.scorer.sizes[2:])
        assert full > PLACES / 2

        server = Server()
        offered = await ask_at(server, 10 * capacity, SECONDS, timeout_ms)
        assert sum(server.statuses.values()) == offered
        assert set(server.statuses) <= {200, 429, 504}
        assert server.statuses[429] > 0.5 * offered

        scored = server.scorer.begun
        assert server.answered <= scored.keys()
        if timeout_ms == PATIENT:
            assert server.statuses[504] == 0
            assert scored.keys() == server.answered  # nothing was scored for nobody
            assert statistics.mean(server.scorer.sizes[2:]) >= 0.9 * full  # and no place was half empty
        # A thread that has been given a batch may be kept waiting by the machine; nothing else may begin late.
        late = sum(begun > server.deadlines[number] for number, begun in scored.items())
        assert late <= 0.01 * len(scored)

        assert (server.state.in_flight, server.state.held, server.state.measures.queued_rows) == (0, 0, 0)
        assert await server.ask(0) == 200
        log(server, capacity, offered)

    asyncio.run(main())


def log(server: Server, capacity: float, offered: int) -> None:
    refused = [1000 * seconds for seconds in server.refused_in]
    logging.getLogger(__name__).info(
        "offered %d/s of a capacity of %d/s: goodput %.0f %%, batches of %.1f rows, %s; "
        "refusals took %.2f ms (median), %.2f ms (p99)",
        offered / SECONDS,
        capacity,
        100 * (server.statuses[200] - 1) / SECONDS / capacity,
        statistics.mean(server.scorer.sizes),
        dict(server.statuses),
        statistics.median(refused),
        statistics.quantiles(refused, n=100)[98],
    )
