"""The file of API keys, and what a running server makes of it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from lifecycle.errors import ConfigError, Conflict, LifecycleError, NotFound, UsageError
from lifecycle.serving.access import Permission
from lifecycle.serving.auth import known_keys
from lifecycle.serving.auth.api_keys import ApiKeys, api_keys_file
from lifecycle.serving.auth.caller import NotKnown
from lifecycle.serving.auth.known_keys import KnownKeys

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path):
    return ApiKeys(api_keys_file(tmp_path))


@pytest.fixture
def known(store, monkeypatch):
    """A server's view that looks at every request."""
    monkeypatch.setattr(known_keys, "_LOOK_S", 0.0)
    known = KnownKeys(store.file)
    return lambda secret: known.find(secret.encode())


def test_a_key_is_kept_as_a_hash_in_a_file_that_nobody_else_reads(store):
    made = store.create("dashboard", "predict", ["flights"], NOW, timedelta(days=90))
    content = store.file.read_text()
    assert made.secret not in content
    assert made.secret.split("_", 2)[2] not in content
    assert sha256(made.secret.encode()).hexdigest() in content
    assert made.secret not in repr(made)
    assert store.file.stat().st_mode & 0o777 == 0o600
    assert store.file.parent.stat().st_mode & 0o777 == 0o700
    (key,) = store.all()
    assert key == made.key
    assert (key.name, key.may, key.deployments) == ("dashboard", "predict", ("flights",))
    assert key.expires_at == NOW + timedelta(days=90)


def test_no_two_keys_are_alike(store):
    made = [store.create(f"key-{number}", "predict", [], NOW).secret for number in range(20)]
    assert len(set(made)) == len({secret[:16] for secret in made}) == 20
    assert {len(secret) for secret in made} == {60}


def test_a_name_is_free_again_once_its_key_is_dead(store):
    store.create("a", "predict", [], NOW)
    with pytest.raises(Conflict, match="'a'"):
        store.create("a", "predict", [], NOW)
    store.revoke("a", NOW)
    store.create("a", "predict", [], NOW, timedelta(hours=1))
    store.create("a", "admin", [], NOW + timedelta(hours=1))
    assert [(key.name, key.may) for key in store.all()] == [("a", "admin")]


@pytest.mark.parametrize("name", ["", ".a", "a b", "a\nb", "x" * 41, "ü", "a/b"])
def test_what_is_no_name_makes_no_key(store, name):
    with pytest.raises(UsageError):
        store.create(name, "predict", [], NOW)
    with pytest.raises(UsageError):
        store.create("fine", "predict", ["../etc"], NOW)
    with pytest.raises(UsageError):
        store.create("fine", "root", [], NOW)
    assert not store.file.exists()


def test_revoking_is_by_name_or_id_and_the_first_time_stays(store):
    made = store.create("a", "predict", [], NOW)
    assert store.revoke("a", NOW).revoked_at == NOW
    assert store.revoke(made.key.id, NOW + timedelta(days=1)).revoked_at == NOW
    with pytest.raises(NotFound, match="did you mean 'a'"):
        store.revoke("aa", NOW)


def test_a_key_that_is_given_in_place_of_its_name_is_not_repeated(store):
    made = store.create("a", "predict", [], NOW)
    for call in (lambda: store.revoke(made.secret, NOW), lambda: store.create(made.secret, "predict", [], NOW)):
        with pytest.raises(LifecycleError) as refused:
            call()
        assert made.secret[17:] not in str(refused.value)


def test_those_who_make_keys_at_once_lose_none(store):
    makers = [threading.Thread(target=store.create, args=[f"k{n}", "predict", [], NOW]) for n in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert {key.name for key in store.all()} == {f"k{n}" for n in range(8)}


def broken(store) -> dict[str, str]:
    store.create("a", "predict", [], NOW)
    good = json.loads(store.file.read_text())
    (key,) = good["keys"]
    changed = {
        "no JSON": "{",
        "no list": {"keys": {}},
        "a key twice": {"keys": [key, key]},
        "no name": {"keys": [{**key, "name": 7}]},
        "too much": {"keys": [{**key, "password": "x"}]},
        "no hash": {"keys": [{**key, "sha256": "x"}]},
        "another scope": {"keys": [{**key, "may": "root"}]},
        "deployments a text": {"keys": [{**key, "deployments": "flights"}]},
        "no such time": {"keys": [{**key, "expires_at": "tomorrow"}]},
    }
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in changed.items()}


def test_a_broken_file_is_an_error_that_names_it_and_changes_nothing_for_a_running_server(store, known, caplog):
    texts = broken(store)
    secret = store.create("b", "predict", [], NOW).secret
    assert known(secret).name == "b"
    for name, text in texts.items():
        store.file.write_text(text)
        with pytest.raises(ConfigError, match=r"api\.json"):
            store.all()
        assert known(secret).name == "b", name
    assert caplog.text.count("the API keys stay as they were") == len(texts)


def test_a_file_that_others_may_write_to_is_not_believed(store, known, caplog):
    secret = store.create("a", "predict", [], NOW).secret
    store.file.chmod(0o622)
    with pytest.raises(ConfigError, match="chmod 600"):
        store.all()
    with pytest.raises(NotKnown):
        known(secret)
    store.file.chmod(0o600)
    assert known(secret).name == "a"


def test_a_server_notices_new_revoked_and_expired_keys(store, known, monkeypatch):
    first = store.create("a", "predict", ["flights"], NOW, timedelta(days=1)).secret
    assert (known(first).name, known(first).may) == ("a", {Permission.PREDICT})
    assert known(first).deployments == {"flights"}
    second = store.create("b", "admin", [], NOW).secret
    assert known(second).may == {Permission.PREDICT, Permission.ADMIN}
    store.revoke("b", NOW)
    with pytest.raises(NotKnown, match="revoked"):
        known(second)
    monkeypatch.setattr(known_keys, "time", (NOW + timedelta(days=1)).timestamp)
    with pytest.raises(NotKnown, match="expired"):
        known(first)
    store.file.unlink()
    with pytest.raises(NotKnown, match="this key does not open"):
        known(first)


def test_between_two_looks_the_file_is_not_touched(store, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(known_keys, "monotonic", lambda: now[0])
    secret = store.create("a", "predict", [], NOW).secret.encode()
    known = KnownKeys(store.file)
    assert known.find(secret).name == "a"
    store.revoke("a", NOW)
    now[0] += 0.99
    assert known.find(secret).name == "a"
    now[0] += 0.01
    with pytest.raises(NotKnown, match="revoked"):
        known.find(secret)


def test_only_the_very_key_opens(store, known):
    secret = store.create("a", "predict", [], NOW).secret
    near = [secret[:i] + ("0" if secret[i] != "0" else "1") + secret[i + 1 :] for i in range(len(secret))]
    for wrong in [*near, "", secret[:-1], secret + "x", secret.upper(), secret[4:], f" {secret}", secret[:17]]:
        with pytest.raises(NotKnown, match="this key does not open"):
            known(wrong)
    assert known(secret).name == "a"


def test_what_became_of_a_key_is_told_to_nobody_who_only_knows_its_id(store, known):
    made = store.create("a", "predict", [], NOW)
    store.revoke("a", NOW)
    with pytest.raises(NotKnown, match="this key does not open"):
        known(made.secret[:17] + "x" * 43)
