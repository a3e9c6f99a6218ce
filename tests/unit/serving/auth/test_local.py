"""On a loopback address anybody may ask, but no page of somebody else's in a browser."""

from __future__ import annotations

import pytest

from lifecycle.serving.access import Permission
from lifecycle.serving.auth.door import Door
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Releases
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State


def come(host, permission=Permission.PREDICT, **settings) -> None:
    headers = [] if host is None else [(b"accept", b"*/*"), (b"host", host.encode())]
    door = Door(State(Releases("flights"), Settings(**settings)))
    for _ in range(2):  # the second time it is remembered
        door.demand(Request("GET", "/metadata", headers), permission, None)


OURS = [
    "localhost",
    "LOCALHOST:8080",
    "127.0.0.1:1",
    "[::1]:8080",
    "[::1]",
    "10.1.2.3:80",
    "serving:8080",
    "a.localhost",
]
THEIRS = ["evil.example", "evil.example:8080", "EVIL.example.:8080", "a.b"]
THEIRS += ["127.0.0.1.evil.example", "localhost.evil.example", "[evil.example]", "[evil]"]


@pytest.mark.parametrize("host", [*OURS, None, ""])
def test_who_is_on_this_machine_may_ask(host):
    come(host)
    come(host, Permission.ADMIN)


@pytest.mark.parametrize("host", THEIRS)
def test_who_comes_by_another_hosts_name_may_not_and_is_told_what_a_proxy_needs(host):
    for permission in (Permission.PREDICT, Permission.ADMIN):
        with pytest.raises(Refusal, match="-C auth=none") as refused:
            come(host, permission)
        assert refused.value.status == 403
        assert "evil" not in str(refused.value)
    come(host, Permission.NONE)
    come(host, auth="none")


def test_what_is_remembered_is_bounded():
    door = Door(State(Releases("flights"), Settings()))
    for number in range(1000):
        door.demand(Request("GET", "/metadata", [(b"host", b"h%d" % number)]), Permission.PREDICT, None)
    assert len(door._access._ours) <= 64
