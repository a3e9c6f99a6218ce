"""What is let in, how long it may take, and what happens when its client does not wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

import pytest

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving import body
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engines.in_process import InProcess
from lifecycle.serving.measures import BATCH_BOUNDS
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

BODY = b'{"inputs": {"x": [1.0, 2.0]}}'
WHOLE = [{"type": "http.request", "body": BODY, "more_body": False}]
GONE = {"type": "http.disconnect"}


class Slow:
    """A scorer that doubles, once it may."""

    signature = Signature((Column("x", "double"),))
    kind = "compiled"

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.open = threading.Event()

    def predict(self, batch, params=None):
        self.batches.append(batch["x"].tolist())
        assert self.open.wait(10)
        return batch["x"] * 2

    def close(self) -> None:
        pass


class Server:
    """The application over one slow model, in process."""

    def __init__(self, *, empty: bool = False, **settings) -> None:
        self.settings = Settings(**settings)
        self.scorer = Slow()
        self.state = State(Releases("d"), self.settings)
        self.application = Application(self.state, routes_of(self.state), OpenAccess(), [])
        self.read = 0
        if not empty:
            engine = InProcess(self.scorer, Settings(workers=10**6), self.state.measures)
            desired = Desired(1, "d", "m", 1, "ab", "/s", "", self.settings)
            self.state.releases.switch(Release(desired, engine))

    async def ask(self, messages: Iterable = WHOLE, headers=(), hang_up: asyncio.Event | None = None):
        """Status and headers of the answer; None when there is none."""
        incoming, sent = iter(messages), []

        async def receive():
            self.read += 1
            for message in incoming:
                return message
            await (hang_up or asyncio.Event()).wait()
            return GONE

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", b"application/json"), *headers]
        scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers, "query_string": b""}
        await self.application(scope, receive, send)
        return (sent[0]["status"], dict(sent[0]["headers"])) if sent else None

    @property
    def idle(self) -> bool:
        """Whether everything that was let in has left."""
        return (self.state.held, self.state.in_flight, self.state.measures.queued_rows) == (0, 0, 0)

    def dropped(self) -> tuple[float, float]:
        expired, abandoned = self.state.measures.cells[len(BATCH_BOUNDS) + 2 :]
        return expired, abandoned

    async def busy(self) -> asyncio.Task:
        """Until the model is scoring, and will until it may answer."""
        task = asyncio.create_task(self.ask())
        while not self.scorer.batches:
            await asyncio.sleep(0.001)
        return task


def wait(**timeout) -> list[tuple[bytes, bytes]]:
    return [(b"x-lifecycle-timeout-ms", b"%d" % timeout["ms"])]


def answer_of(server: Server, *args, **kwargs):
    return asyncio.run(server.ask(*args, **kwargs))


def test_before_a_version_is_up_no_body_is_read():
    server = Server(empty=True)
    status, headers = answer_of(server)
    assert (status, headers[b"retry-after"], server.read) == (503, b"1", 0)


def test_when_all_places_are_taken_no_body_is_read():
    async def main():
        server = Server(max_in_flight=1)
        first = await server.busy()
        before = server.read
        status, headers = await server.ask()
        assert (status, headers[b"retry-after"], server.read) == (429, b"1", before)
        server.scorer.open.set()
        assert (await first)[0] == 200
        assert server.idle

    asyncio.run(main())


@pytest.mark.parametrize("value", [b"1e3", b"-5", b"", b"9" * 400, b"five", b"0x10"])
def test_a_content_length_that_is_no_length_is_the_clients_fault(value):
    server = Server()
    assert answer_of(server, headers=[(b"content-length", value)])[0] in (400, 413)
    assert server.read == 0


def test_a_body_that_is_announced_too_large_is_not_read():
    server = Server(max_body=100)
    assert answer_of(server, headers=[(b"content-length", b"101")])[0] == 413
    assert server.read == 0


def test_what_is_held_is_bounded_over_all_requests_but_one_alone_is_let_in():
    async def main():
        server = Server(max_pending_mb=50 / 2**20)
        server.scorer.open.set()
        assert (await server.ask())[0] == 200
        first = {"type": "http.request", "body": b" " * 40, "more_body": True}
        hang_up = asyncio.Event()
        sending = asyncio.create_task(server.ask([first], hang_up=hang_up))
        await asyncio.sleep(0)
        assert server.state.held == 40
        assert (await server.ask())[0] == 429
        hang_up.set()
        assert await sending is None
        assert server.idle

    asyncio.run(main())


def test_a_sender_that_takes_its_time_has_no_place_until_all_is_there(monkeypatch):
    monkeypatch.setattr(body, "_DEADLINE_S", 0.1)

    async def main():
        server = Server(max_in_flight=1)
        half = {"type": "http.request", "body": BODY[:5], "more_body": True}
        sending = asyncio.create_task(server.ask([half]))
        await asyncio.sleep(0)
        assert server.state.in_flight == 0
        status, headers = await sending
        assert (status, headers[b"connection"]) == (408, b"close")

    asyncio.run(main())


def test_more_rows_than_allowed_are_not_scored():
    server = Server(max_rows=1)
    assert answer_of(server)[0] == 413
    assert server.scorer.batches == []


@pytest.mark.parametrize("value", [b"", b"-1", b"1.5", b"soon", b"9" * 30])
def test_a_time_to_wait_that_is_none_is_refused(value):
    assert answer_of(Server(), headers=[(b"x-lifecycle-timeout-ms", value)])[0] == 400


def test_a_client_that_waits_for_less_than_the_model_takes_is_told_and_what_has_not_begun_never_does():
    async def main():
        server = Server()
        first = await server.busy()
        assert (await server.ask(headers=wait(ms=50)))[0] == 504
        assert (await server.ask(headers=wait(ms=0)))[0] == 504
        server.scorer.open.set()
        assert (await first)[0] == 200
        assert server.scorer.batches == [[1.0, 2.0]]
        assert server.dropped() == (2, 0)
        assert (await server.ask(headers=wait(ms=10_000)))[0] == 200
        assert server.idle

    asyncio.run(main())


def test_nobody_may_wait_longer_than_the_server_allows():
    async def main():
        server = Server(request_timeout_s=0.05)
        first = await server.busy()
        assert (await server.ask(headers=wait(ms=3_600_000)))[0] == 504
        server.scorer.open.set()
        await first

    asyncio.run(main())


def test_a_client_that_hangs_up_while_it_waits_is_not_scored_and_counted():
    async def main():
        server = Server()
        first = await server.busy()
        hang_up = asyncio.Event()
        waiting = asyncio.create_task(server.ask(hang_up=hang_up))
        while not server.state.measures.queued_requests:
            await asyncio.sleep(0.001)
        hang_up.set()
        assert await waiting is None
        assert server.state.measures.queued_requests == 0
        server.scorer.open.set()
        assert (await first)[0] == 200
        assert server.scorer.batches == [[1.0, 2.0]]
        assert server.dropped() == (0, 1)
        assert server.idle

    asyncio.run(main())
