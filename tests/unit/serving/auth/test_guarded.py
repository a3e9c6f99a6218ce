"""Guesses, headers in every spelling, and who is told what."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from lifecycle.serving.access import Permission
from lifecycle.serving.auth.api_keys import ApiKeys
from lifecycle.serving.auth.door import Door
from lifecycle.serving.auth.failures import LIMIT
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Releases
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path):
    return ApiKeys(tmp_path / "keys" / "api.json")


@pytest.fixture
def secret(store):
    return store.create("dashboard", "predict", [], NOW).secret.encode()


@pytest.fixture
def state(store):
    return State(Releases("flights"), Settings(auth="required", api_keys=str(store.file)))


@pytest.fixture
def door(state):
    return Door(state)


def come(door, *headers, permission=Permission.PREDICT, peer="10.0.0.1"):
    """Who was let in, or the refusal."""
    request = Request("POST", "/invocations", [(b"host", b"x"), *headers], peer=peer)
    try:
        door.demand(request, permission, None)
    except Refusal as refusal:
        return refusal
    return request.caller


def bearer(token: bytes) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + token


def test_every_spelling_of_the_header_that_clients_use(door, secret):
    basic = (b"authorization", b"Basic dXNlcjpwYXNz")
    for headers in (
        [bearer(secret)],
        [(b"authorization", b"bearer " + secret)],
        [(b"authorization", b"BEARER  " + secret + b" ")],
        [(b"x-api-key", secret)],
        [basic, (b"x-api-key", secret)],
        [(b"x-api-key", b"another service's"), bearer(secret)],
    ):
        assert come(door, *headers) == "dashboard"


@pytest.mark.parametrize(
    "header",
    [
        None,
        (b"authorization", b""),
        (b"authorization", b"Bearer"),
        (b"authorization", b"Bearer "),
        (b"authorization", b"Basic lck_"),
        (b"x-api-key", b""),
        (b"x-api-key", b"\xff\xfe\x00"),
        (b"x-api-key", b"lck_" + b"x" * 56),
        (b"authorization", b"Bearer " + b"lck_" * 2500),
        (b"authorization", b"Bearer " + b"a" * 10_000),
        (b"authorization", b"Bearer null"),
    ],
)
def test_without_a_key_that_counts_nobody_is_let_in(door, secret, header):
    refusal = come(door, *([header] if header else []))
    assert (refusal.status, refusal.code) == (401, "UNAUTHENTICATED")
    assert dict(refusal.headers)[b"www-authenticate"].startswith(b"Bearer")


def test_of_a_thousand_guesses_none_is_let_in_and_whoever_has_a_key_is_not_kept_out(door, secret):
    statuses = []
    for number in range(1000):
        guess = secret[:17] + b"%043d" % number
        statuses.append(come(door, bearer(guess)).status)
        if number % 100 == 0:
            assert come(door, bearer(secret)) == "dashboard"
    assert statuses == [401] * LIMIT + [429] * (1000 - LIMIT)
    refusal = come(door, bearer(b"lck_"))
    assert 0 < int(dict(refusal.headers)[b"retry-after"]) <= 60
    assert come(door, bearer(b"lck_"), peer="10.0.0.2").status == 401


def test_a_predict_key_changes_nothing_and_is_told_why(door, secret):
    for _ in range(3 * LIMIT):  # being known is no failure
        refusal = come(door, bearer(secret), permission=Permission.ADMIN)
        assert (refusal.status, refusal.code, str(refusal)) == (
            403,
            "PERMISSION_DENIED",
            "this needs the scope admin",
        )
    assert b'error="insufficient_scope"' in dict(refusal.headers)[b"www-authenticate"]


def test_probes_ask_nobody_and_count_nothing(door, state):
    for _ in range(2 * LIMIT):
        assert come(door, bearer(b"wrong"), permission=Permission.NONE) == ""
    assert come(door, bearer(b"wrong")).status == 401


def test_a_broken_file_of_keys_keeps_the_door_shut(store, state):
    store.file.parent.mkdir()
    store.file.write_text("{")
    assert come(Door(state), bearer(b"x")).status == 401
    state.settings = Settings(auth="required", api_keys="")
    assert come(Door(state), bearer(b"x")).status == 401


def test_the_door_follows_the_settings_of_a_running_server(door, state, store, secret):
    assert come(door).status == 401
    state.settings = Settings(auth="none", api_keys=str(store.file))
    assert come(door) == ""
    state.settings = Settings(auth="required", api_keys=str(store.file))
    assert come(door).status == 401
    assert come(door, bearer(secret)) == "dashboard"


def test_a_server_without_an_issuer_loads_nothing_that_only_tokens_need():
    code = (
        "import sys, lifecycle.serving.auth; print({'joserfc', 'cryptography', 'urllib.request'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
