"""The server's inside, in process: what answers while versions change under it."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.access import OpenAccess
from lifecycle.serving.application import Application
from lifecycle.serving.control import Desired
from lifecycle.serving.engine import InProcess
from lifecycle.serving.release import Release, Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

DESIRED = Desired(1, "d", "m", 1, "ab", "/s", "", Settings(max_body=1000, max_in_flight=2))


class Times:
    """A scorer that multiplies, once it may."""

    signature = Signature((Column("x", "double"),))
    kind = "pyfunc"

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = threading.Event()
        self.closed = False

    def predict(self, batch, params=None):
        assert not self.closed
        self.asked.set()
        assert self.may_answer.wait(10)
        return batch["x"] * self.factor

    def close(self) -> None:
        self.closed = True


class Breaks(Times):
    def predict(self, batch, params=None):
        raise RuntimeError(f"cannot take {batch['x']}")


@pytest.fixture
def state() -> State:
    return State(Releases("d"), DESIRED.settings)


def release(scorer, version: int = 1) -> Release:
    return Release(replace(DESIRED, version=version), InProcess(scorer))


async def ask(state, method="POST", path="/invocations", body=b'{"inputs": {"x": [1.0]}}', messages=None):
    """Call the application as a server would; status, headers and body of its answer."""
    content_type = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "headers": content_type, "query_string": b""}
    incoming = iter(messages or [{"type": "http.request", "body": body, "more_body": False}])
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message)

    await Application(state, routes_of(state), OpenAccess(), [])(scope, receive, send)
    if not sent:
        return None
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(m.get("body", b"") for m in sent[1:])


@pytest.mark.parametrize("path", ["/ping", "/health", "/readyz", "/metadata"])
def test_before_the_first_version_nothing_is_ready_but_the_server_lives(state, path):
    status, headers, body = asyncio.run(ask(state, "GET", path))
    assert (status, json.loads(body)["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert int(headers["retry-after"]) > 0
    assert asyncio.run(ask(state, "GET", "/livez"))[0] == 200


def test_before_the_first_version_requests_are_told_to_come_back(state):
    status, headers, _ = asyncio.run(ask(state))
    assert (status, headers["retry-after"]) == (503, "1")


def test_while_draining_it_is_not_ready_and_answers_a_last_time_on_each_connection(state):
    state.releases.switch(release(Times(2.0)))
    state.draining = True
    assert asyncio.run(ask(state, "GET", "/readyz"))[0] == 503
    status, headers, body = asyncio.run(ask(state))
    assert (status, body, headers["connection"]) == (200, b'{"predictions":[2.0]}', "close")


def test_a_request_in_flight_keeps_its_version_and_that_is_closed_after_the_last_one(state):
    old, new = Times(2.0), Times(3.0)

    async def swap_under_requests():
        state.releases.switch(release(old, 1))
        old.may_answer.clear()
        running = [asyncio.create_task(ask(state)) for _ in range(2)]
        await asyncio.to_thread(old.asked.wait, 10)
        state.releases.switch(release(new, 2))
        after = await ask_alone()
        assert not old.closed
        old.may_answer.set()
        return await asyncio.gather(*running), after

    async def ask_alone():
        state.settings = Settings(max_body=1000, max_in_flight=3)
        return await ask(state)

    before, after = asyncio.run(swap_under_requests())
    assert [(h["x-lifecycle-version"], body) for _, h, body in before] == [("1", b'{"predictions":[2.0]}')] * 2
    assert (after[1]["x-lifecycle-version"], after[2]) == ("2", b'{"predictions":[3.0]}')
    assert old.closed
    assert not new.closed


def test_requests_beyond_the_bound_are_refused_at_once_and_the_others_answered(state):
    slow = Times(2.0)
    slow.may_answer.clear()

    async def overload():
        state.releases.switch(release(slow))
        running = [asyncio.create_task(ask(state)) for _ in range(2)]
        await asyncio.to_thread(slow.asked.wait, 10)
        refused = await ask(state)
        slow.may_answer.set()
        return await asyncio.gather(*running), refused

    answered, (status, headers, body) = asyncio.run(overload())
    assert [answer[0] for answer in answered] == [200, 200]
    assert (status, headers["retry-after"]) == (429, "1")
    assert json.loads(body)["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert state.in_flight == 0


def test_a_model_that_breaks_is_our_fault_and_its_words_stay_in_the_log(state, caplog):
    state.releases.switch(release(Breaks(1.0)))
    status, _, body = asyncio.run(ask(state, body=b'{"inputs": {"x": [4711.5]}}'))
    assert (status, json.loads(body)["error_code"]) == (500, "INTERNAL_ERROR")
    assert b"4711" not in body
    assert state.in_flight == 0


def test_a_client_that_hangs_up_is_not_scored_and_frees_its_place(state):
    scorer = Times(2.0)
    state.releases.switch(release(scorer))
    half = {"type": "http.request", "body": b"{", "more_body": True}
    assert asyncio.run(ask(state, messages=[half, {"type": "http.disconnect"}])) is None
    assert not scorer.asked.is_set()
    assert state.in_flight == 0


def test_a_body_that_grows_beyond_the_limit_is_refused_while_it_is_read(state):
    state.releases.switch(release(Times(2.0)))
    endless = ({"type": "http.request", "body": b" " * 400, "more_body": True} for _ in iter(int, 1))
    assert asyncio.run(ask(state, messages=endless))[0] == 413


def test_predictions_that_are_not_finite_are_still_valid_json(state):
    state.releases.switch(release(Times(np.nan)))
    assert asyncio.run(ask(state))[2] == b'{"predictions":[null]}'
