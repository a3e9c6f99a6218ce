"""A server that wants to know who asks: keys that count and keys that do not, a thousand guesses, planted secrets.

``LIFECYCLE_PROOF=full`` guesses 20,000 times.
"""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pytest

from lifecycle.errors import NotTrusted, OptionError
from lifecycle.processes.process import owned_by_me, wait_until
from lifecycle.serving.auth.api_keys import ApiKeys, api_keys_file
from lifecycle.serving.auth.failures import LIMIT
from lifecycle.targets.rest import RestTarget
from lifecycle.targets.rest.client import KEY_VARIABLE
from lifecycle.testing.target_contract import folder_context
from tests.proof import rounds

pytestmark = pytest.mark.slow

GUESSES = rounds(20_000, 1000)
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A home with keys of every kind."""
    home = tmp_path_factory.mktemp("home")
    store = ApiKeys(api_keys_file(home))
    make = store.create
    return SimpleNamespace(
        home=home,
        store=store,
        target=RestTarget(folder_context(home)),
        predict=make("predict", "predict", [], NOW).secret,
        mine=make("mine", "predict", ["flights"], NOW).secret,
        admin=make("admin", "admin", [], NOW).secret,
        other=make("other", "admin", ["delays"], NOW).secret,
        expired=make("expired", "admin", [], NOW - timedelta(days=2), timedelta(days=1)).secret,
        soon_revoked=make("soon-revoked", "predict", [], NOW).secret,
    )


@pytest.fixture(scope="module")
def deployed(place, lifecycle_models):
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        patch.delenv(KEY_VARIABLE, raising=False)
        watched = {"access_log": "json", "capture": "1"}
        yield place.target.deploy(
            lifecycle_models[0].spec("flights", {"auth": "required", "workers": "2", **watched})
        )
        place.target.undeploy("flights")


@pytest.fixture
def ask(deployed):
    """The status, headers and body for a key; a fresh connection each time unless one is given."""

    def ask(key=None, path="/metadata", method="GET", body=None, header="Authorization"):
        connection = http.client.HTTPConnection(*address_of(deployed), timeout=20)
        headers = {} if key is None else {header: key if header == "X-API-Key" else f"Bearer {key}"}
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return SimpleNamespace(status=response.status, headers=response.headers, body=content)

    return ask


def address_of(deployed) -> tuple[str, int]:
    url = urlsplit(deployed.address)
    return url.hostname, url.port


def test_an_address_that_others_reach_takes_a_key_or_a_word(tmp_path, lifecycle_models):
    target = RestTarget(folder_context(tmp_path))
    with pytest.raises(OptionError, match=r"lifecycle keys api create NAME.*-C auth=none"):
        target.deploy(lifecycle_models[0].spec("flights", {"host": "0.0.0.0"}))  # noqa: S104  never gets so far
    assert target.list() == []


@pytest.mark.parametrize(
    ("who", "path", "status"),
    [
        ("predict", "/metadata", 200),
        ("mine", "/metadata", 200),
        ("admin", "/metadata", 200),
        ("other", "/metadata", 403),
        ("other", "/v2/models/flights", 403),
        ("expired", "/metadata", 401),
        (None, "/metadata", 401),
        (None, "/livez", 200),
        (None, "/ping", 200),
    ],
)
def test_what_each_key_opens(place, ask, who, path, status):
    assert ask(getattr(place, who) if who else None, path).status == status
    if who:
        assert ask(getattr(place, who), path, header="X-API-Key").status == status


def test_a_predict_key_changes_no_server_and_an_admin_key_may(place, ask):
    index = "/v2/repository/index"
    assert ask(place.predict, index, "POST", b"{}").status == 403
    assert ask(place.mine, index, "POST", b"{}").status == 403
    assert ask(place.admin, index, "POST", b"{}").status == 200


def test_a_refusal_says_how_to_come_back_in_the_protocols_shape(ask):
    plain = ask(None, "/invocations", "POST", b"{}")
    assert (plain.status, json.loads(plain.body)["error_code"]) == (401, "UNAUTHENTICATED")
    assert plain.headers["WWW-Authenticate"] == 'Bearer realm="lifecycle"'
    assert "error" in json.loads(ask(None, "/v2/models/flights/infer", "POST", b"{}").body)


def test_our_own_client_needs_a_key_too_and_says_where_to_put_it(place, deployed, lifecycle_models, monkeypatch):
    model = lifecycle_models[0]
    with pytest.raises(NotTrusted, match=f"{KEY_VARIABLE}; lifecycle keys api create NAME"):
        place.target.predict("flights", model.rows)
    monkeypatch.setenv(KEY_VARIABLE, place.other)
    with pytest.raises(NotTrusted, match="403"):
        place.target.predict("flights", model.rows)
    monkeypatch.setenv(KEY_VARIABLE, place.mine)
    np.testing.assert_allclose(place.target.predict("flights", model.rows), model.expected, rtol=1e-6, atol=1e-7)


def test_a_running_server_takes_a_new_key_and_drops_a_revoked_one_within_two_seconds(place, ask):
    fresh = place.store.create("fresh", "predict", [], NOW).secret
    wait_until(lambda: [ask(fresh).status for _ in range(4)] == [200] * 4, 2, "every worker takes it")
    assert ask(place.soon_revoked).status == 200
    place.store.revoke("soon-revoked", NOW)
    place.store.revoke("fresh", NOW)
    refused = (401, 429)
    for key in (place.soon_revoked, fresh):
        wait_until(lambda key=key: all(ask(key).status in refused for _ in range(4)), 2, "no worker takes it")


def test_of_a_thousand_guesses_none_gets_in_and_nobody_else_is_kept_out(place, deployed):
    statuses: dict[int, int] = {}
    connection = http.client.HTTPConnection(*address_of(deployed), timeout=20)
    for number in range(GUESSES):
        key = place.predict if number % 50 == 49 else f"{place.predict[:-6]}{number:06d}"
        connection.request("GET", "/metadata", headers={"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        response.read()
        if key == place.predict:
            assert response.status == 200
        else:
            statuses[response.status] = statuses.get(response.status, 0) + 1
        if response.status == 429:
            assert 0 < int(response.getheader("Retry-After")) <= 60
    connection.close()
    assert set(statuses) <= {401, 429}
    assert statuses[429] >= sum(statuses.values()) - LIMIT


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_ten_thousand_characters_are_no_key(place, ask, header):
    for key in ("x" * 10_000, place.predict + "x" * 10_000, "lck_" + "a" * 10_000, ".".join(["e30" * 1000] * 3)):
        assert ask(key, header=header).status in (401, 429)
    assert ask(place.predict).status == 200


def test_nobody_has_a_body_read(ask, deployed):
    """A body that never comes keeps nobody: the answer is there before it."""
    connection = http.client.HTTPConnection(*address_of(deployed), timeout=10)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", "1000000")
    connection.putheader("Content-Type", "application/json")
    connection.endheaders()
    assert connection.getresponse().status in (401, 429)
    connection.close()


def test_no_secret_is_in_any_answer_log_metric_or_file(place, ask, deployed, lifecycle_models, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, place.mine)
    place.target.predict("flights", lifecycle_models[0].rows)
    planted = f"lck_planted00000_{'s' * 43}"
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZA"
    secrets = [planted, token, place.predict, place.mine, place.admin, place.other, place.expired]
    said = []
    for secret in secrets:
        for path in ("/metadata", "/v2/repository/index", f"/nowhere/{len(said)}", "/metrics"):
            for header in ("Authorization", "X-API-Key"):
                answer = ask(secret, path, header=header)
                said.append(answer.body + str(answer.headers).encode())
    metrics = ask(place.admin, "/metrics").body
    log = place.home / "deployments" / "rest" / "flights" / "server.log"
    wait_until(lambda: '"mine"' in log.read_text(), 10, "the log says who asked")
    kept = []
    for path in Path(place.home).rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):  # some are renamed while we look
            kept.append(path.read_bytes())
    for secret in secrets:
        random_part = secret[17:] if secret.startswith("lck_") else secret.rpartition(".")[2]
        assert not any(random_part.encode() in text for text in [*said, metrics, *kept])


def test_callers_at_once_are_told_apart(place, deployed):
    """Threads with different keys on both workers: nobody gets what another one may."""
    wrong = []

    def call(key, status) -> None:
        connection = http.client.HTTPConnection(*address_of(deployed), timeout=20)
        for _ in range(50):
            connection.request("GET", "/metadata", headers={"Authorization": f"Bearer {key}"})
            response = connection.getresponse()
            response.read()
            if response.status != status:
                wrong.append((status, response.status))
        connection.close()

    callers = [threading.Thread(target=call, args=a) for a in [(place.predict, 200), (place.other, 403)] * 4]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


def test_a_door_that_is_shut_later_is_shut_on_open_connections_too(place, lifecycle_models, monkeypatch):
    for key, value in owned_by_me().items():
        monkeypatch.setenv(key, value)
    model = lifecycle_models[0]
    try:
        deployed = place.target.deploy(model.spec("open"))
        connection = http.client.HTTPConnection(*address_of(deployed), timeout=20)

        def status(key=None) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            connection.request("GET", "/metadata", headers=headers)  # connects anew where it was told to
            response = connection.getresponse()
            response.read()
            return response.status

        assert status() == 200
        place.target.deploy(model.spec("open", {"auth": "required"}))
        assert [status() for _ in range(5)] == [401] * 5
        assert status(place.predict) == 200
        assert status(place.other) == 403
    finally:
        place.target.undeploy("open")
