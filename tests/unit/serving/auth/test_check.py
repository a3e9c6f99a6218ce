"""A server whose door would be open by mistake, or shut for everybody, is not started."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.errors import ConfigError, OptionError, Unavailable
from lifecycle.serving.auth.api_keys import ApiKeys
from lifecycle.serving.auth.check import check_door
from lifecycle.serving.auth.door import is_open
from lifecycle.serving.settings import Settings
from tests.issuer import AUDIENCE, running_issuer

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path):
    return ApiKeys(tmp_path / "keys" / "api.json")


@pytest.fixture
def settings(store):
    return Settings(api_keys=str(store.file))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_a_loopback_address_anybody_may_ask(settings, host):
    on_loopback = replace(settings, host=host)
    check_door(on_loopback, NOW)
    assert is_open(on_loopback)
    assert not is_open(replace(on_loopback, auth="required"))
    assert not is_open(replace(on_loopback, jwt_issuer="https://issuer.example"))


ELSEWHERE = ["0.0.0.0", "::", "10.1.2.3", "example.org", "127.0.0.1.example.org", "localhost.x", ""]  # noqa: S104


@pytest.mark.parametrize("host", ELSEWHERE)
def test_elsewhere_only_who_has_a_key(settings, host):
    elsewhere = replace(settings, host=host)
    assert not is_open(elsewhere)
    assert is_open(replace(elsewhere, auth="none"))
    with pytest.raises(OptionError, match=r"lifecycle keys api create NAME.*-C auth=none"):
        check_door(elsewhere, NOW)
    check_door(replace(elsewhere, auth="none"), NOW)


def test_a_key_that_counts_is_enough_and_a_dead_one_is_none(settings, store):
    required = replace(settings, auth="required")
    store.create("a", "predict", [], NOW, timedelta(hours=1))
    check_door(required, NOW)
    with pytest.raises(OptionError, match="no valid one"):
        check_door(required, NOW + timedelta(hours=1))
    store.revoke("a", NOW)
    with pytest.raises(OptionError, match="no valid one"):
        check_door(required, NOW)


def test_a_new_version_may_answer_behind_a_door_that_nobody_gets_through_any_more(settings, store):
    required = replace(settings, auth="required")
    check_door(replace(required, max_in_flight=1), NOW, before=required)
    with pytest.raises(OptionError):
        check_door(required, NOW, before=settings)


def test_a_broken_file_of_keys_is_told(settings, store):
    store.file.parent.mkdir()
    store.file.write_text("{")
    with pytest.raises(ConfigError, match=r"api\.json"):
        check_door(replace(settings, auth="required"), NOW)


def test_an_issuer_is_asked_before_a_server_starts(settings):
    with running_issuer() as issuer:
        named = replace(settings, jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
        check_door(named, NOW)
        assert "/jwks" in issuer.asked
    with pytest.raises(Unavailable, match="the issuer's keys cannot be fetched"):
        check_door(named, NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jwt_issuer": ""}, "need the issuer"),
        ({"jwt_audience": ""}, "made for another service|for another service would do"),
        ({"auth": "none"}, "auth=none checks no tokens"),
        ({"jwt_issuer": "http://issuer.example"}, "jwt_issuer: .* https://"),
        ({"jwt_keys": "http://issuer.example/jwks"}, "jwt_keys: .* https://"),
    ],
)
def test_an_issuer_that_cannot_be_is_told_by_its_option(settings, changes, words):
    named = replace(settings, jwt_issuer="https://issuer.example", jwt_audience=AUDIENCE)
    with pytest.raises(OptionError, match=words):
        check_door(replace(named, **changes), NOW)
