"""Whatever follows a stage is followed: after an update, and after the stack went down and up again."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchanged")]

STAGE = "models:/flights-delay/Production"


@pytest.fixture
def pinned(stack):
    """The name of a deployment of version 1, which nobody follows."""
    made = stack.lifecycle("deployments create --name pinned -m models:/flights-delay/1")
    assert made.code == 0, made.err
    assert running(stack)["follower"] is None
    yield "pinned"
    stack.lifecycle("deployments delete --name pinned")
    stack.lifecycle(f"up --port {urlsplit(stack.url).port}")


def running(stack):
    return json.loads(stack.lifecycle("status --json").out)


def test_a_pinned_deployment_that_is_told_to_follow_is_followed_from_then_on(stack, pinned):
    updated = stack.lifecycle(f"deployments update --name {pinned} -m {STAGE}")
    assert updated.code == 0, updated.err
    first = running(stack)
    assert first["follower"] is not None

    down = stack.lifecycle("down")
    assert down.out == "Stopped: follower, server.\n"
    without = running(stack)
    assert (without["server"], without["follower"]) == (None, None)
    assert {d["name"]: d["status"] for d in without["deployments"]} == {"first": "READY", "pinned": "READY"}

    up = stack.lifecycle(f"up --port {urlsplit(stack.url).port}")
    assert up.code == 0, up.err
    again = running(stack)
    assert again["server"]["url"] == stack.url
    assert again["follower"] not in (None, first["follower"])
