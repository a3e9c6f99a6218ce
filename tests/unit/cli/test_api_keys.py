"""``lifecycle keys api`` as people use it."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.cli import run
from lifecycle.serving.auth.api_keys import ApiKeys, api_keys_file
from lifecycle.serving.auth.known_keys import KnownKeys


@pytest.fixture
def say(tmp_path, monkeypatch, capsys):
    """Run a command; what it says on the stream that its exit code means."""
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path))

    def say(words, code=0):
        assert run(["keys", "api", *shlex.split(words)]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return say


@pytest.fixture
def store(tmp_path):
    return ApiKeys(api_keys_file(tmp_path))


def test_a_key_is_shown_once_and_opens_what_was_said(say, store):
    said = say("create dashboard --expires 90d --deployment flights --deployment delays")
    (secret,) = re.findall(r"lck_\S+", said)
    caller = KnownKeys(store.file).find(secret.encode())
    assert (caller.name, caller.deployments) == ("dashboard", {"delays", "flights"})
    assert "predict on delays, flights" in said
    assert "LIFECYCLE_API_KEY" in said
    (key,) = store.all()
    assert timedelta(days=89) < key.expires_at - datetime.now(UTC) < timedelta(days=91)
    listed = say("list") + say("list --json")
    assert "dashboard" in listed
    assert secret not in listed
    assert key.sha256 not in listed


def test_json_says_the_same(say, store):
    made = json.loads(say("create ops --may admin --json"))
    assert (made["name"], made["may"], made["deployments"], made["expires_at"]) == ("ops", "admin", [], None)
    assert KnownKeys(store.file).find(made["key"].encode()).name == "ops"
    listed = json.loads(say("list --json"))
    assert listed["file"] == str(store.file)
    assert listed["keys"] == [{name: value for name, value in made.items() if name != "key"}]
    assert json.loads(say("revoke ops --json"))["revoked_at"]


def test_a_revoked_key_stays_in_the_list_and_says_so(say):
    assert "lifecycle keys api create NAME" in say("list")
    say("create a")
    assert "opens nothing any more" in say("revoke a")
    assert "revoked 20" in say("list")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("create 'no name'", 2, "is no name for a key"),
        ("create a --expires 9y", 2, "write 90d, 12h or 30m"),
        ("create a --expires 0d", 2, "write 90d, 12h or 30m"),
        ("create a --expires 999999d", 2, "at most 3650d"),
        ("create a --may root", 2, "root"),
        ("create a --deployment ../x", 2, "deployment name"),
        ("revoke nobody", 5, "unknown key 'nobody'"),
    ],
)
def test_what_cannot_be_is_told_and_changes_nothing(say, store, words, code, told):
    assert told in say(words, code)
    assert store.all() == ()


def test_a_name_in_use_is_a_conflict(say):
    say("create a")
    assert "revoke that key first" in say("create a", 6)
