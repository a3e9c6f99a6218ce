"""Every route has a decision, for everybody who may come: nobody may pass by accident."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from lifecycle.serving.access import Permission
from lifecycle.serving.application import Application
from lifecycle.serving.auth import make_access
from lifecycle.serving.auth.api_keys import ApiKeys
from lifecycle.serving.release import Releases
from lifecycle.serving.routes import routes_of
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State

OPEN = {"/ping", "/health", "/readyz", "/livez", "/version", "/docs", "/v2/health/live", "/v2/health/ready"}
"""What anybody is answered: whoever adds to it has thought about it."""
ROUTES = [
    (route.method, route.path, route.permission) for route in routes_of(State(Releases("flights"), Settings())).all
]
PERMISSIONS = {
    "nobody": set(),
    "predict": {Permission.PREDICT},
    "admin": {Permission.PREDICT, Permission.ADMIN},
    "another deployment's": set(),
}


class BodyRead(Exception):
    """Somebody who may not ask has had a body read."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Asks as somebody; the status, and whether the body was read."""
    file = tmp_path_factory.mktemp("home") / "keys" / "api.json"
    store, now = ApiKeys(file), datetime.now(UTC)
    keys = {
        "predict": store.create("p", "predict", [], now).secret,
        "admin": store.create("a", "admin", [], now).secret,
        "another deployment's": store.create("o", "admin", ["delays"], now).secret,
    }
    state = State(Releases("flights"), Settings(auth="required", api_keys=str(file)))
    application = Application(state, routes_of(state), make_access(state), [])

    def ask(method, path, who, peer="10.0.0.1"):
        headers = [(b"authorization", b"Bearer " + keys[who].encode())] if who in keys else []
        scope = {"type": "http", "method": method, "path": path, "query_string": b""}
        return asyncio.run(answer(application, {**scope, "headers": headers, "client": (peer, 1)}))

    return ask


async def answer(application, scope):
    sent, read = [], []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], bool(read), dict(sent[0]["headers"])


def filled(path: str, model: str = "flights") -> str:
    return path.replace("{model}", model).replace("{version}", "1")


@pytest.mark.parametrize("who", PERMISSIONS)
@pytest.mark.parametrize(("method", "path", "permission"), ROUTES)
def test_whoever_may_is_let_in_and_nobody_else_has_a_byte_read(server, method, path, permission, who):
    assert isinstance(permission, Permission)
    status, read, headers = server(method, filled(path), who, peer=f"{path} {who}")
    if permission is Permission.NONE or permission in PERMISSIONS[who]:
        assert status not in (401, 403)
        return
    assert (status, read) == (401 if who == "nobody" else 403, False)
    assert headers[b"www-authenticate"].startswith(b'Bearer realm="lifecycle"')


def test_what_is_open_is_meant_to_be():
    assert {path for _, path, permission in ROUTES if permission is Permission.NONE} == OPEN


@pytest.mark.parametrize(("method", "path", "permission"), [route for route in ROUTES if "{model}" in route[1]])
def test_a_key_for_a_deployment_opens_its_paths_and_no_others(server, method, path, permission):
    assert server(method, filled(path, "delays"), "another deployment's")[0] not in (401, 403)
    for near in ("flights", "delays2", "Delays", "delays%2f", "DELAYS"):
        assert server(method, filled(path, near), "another deployment's")[0] in (403, 404)


def test_a_path_that_is_not_there_tells_nobody_more_than_that(server):
    assert [server("GET", "/secret", who)[0] for who in PERMISSIONS] == [404] * 4
