"""A laptop needs no setting up; nothing that somebody has decided is decided again by itself."""

from __future__ import annotations

import pytest

from lifecycle.errors import ConfigError, NotTrusted
from lifecycle.signing.jws import sign, verify
from lifecycle.signing.local_key import own_key, private_file, signing_key, trust_store
from lifecycle.signing.trust import Permission

EVIDENCE = Permission.EVIDENCE


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def signs(key, trust, permission=EVIDENCE) -> bool:
    try:
        return verify(sign(key, permission, "{}"), permission, trust)[0] == "{}"
    except NotTrusted:
        return False


def test_the_first_time_a_key_is_made_and_trusted_with_evidence_alone(home, now):
    trust = trust_store(home, {})
    key = own_key(home, {}, trust, now)
    assert signs(key, trust)
    assert not signs(key, trust, Permission.OVERRIDE)
    assert own_key(home, {}, trust, now).kid == key.kid
    (known,) = trust_store(home, {}).keys()
    assert (known.name, known.kid) == ("own", key.kid)


def test_a_key_that_was_made_before_is_trusted_too(home, now):
    key, trust = signing_key(home, {}), trust_store(home, {})
    assert not signs(key, trust)
    own_key(home, {}, trust, now)
    assert signs(key, trust)


def test_a_revoked_key_stays_revoked(home, now):
    trust = trust_store(home, {})
    key = own_key(home, {}, trust, now)
    trust.revoke("own", now)
    assert own_key(home, {}, trust, now).kid == key.kid
    assert not signs(key, trust)


def test_a_key_with_more_permissions_keeps_them(home, now):
    trust = trust_store(home, {})
    trust.trust(own_key(home, {}, trust, now), None, Permission, now)
    assert signs(own_key(home, {}, trust, now), trust, Permission.OVERRIDE)


def test_after_the_private_key_was_deleted_another_one_is_made_and_trusted(home, now):
    trust = trust_store(home, {})
    gone = own_key(home, {}, trust, now)
    trust.revoke("own", now)
    private_file(home).unlink()
    key = own_key(home, {}, trust, now)
    assert (signs(key, trust), signs(gone, trust)) == (True, False)


def test_a_key_of_the_environment_is_not_trusted_by_itself(home, tmp_path, now):
    signing_key(tmp_path / "elsewhere", {})
    environ = {"LIFECYCLE_SIGNING_KEY": str(private_file(tmp_path / "elsewhere"))}
    trust = trust_store(home, environ)
    assert not signs(own_key(home, environ, trust, now), trust)
    assert not home.exists()


def test_a_file_of_trusted_keys_that_the_environment_names_is_left_alone(home, tmp_path, now):
    shared = tmp_path / "shared.json"
    environ = {"LIFECYCLE_TRUSTED_KEYS": str(shared)}
    trust = trust_store(home, environ)
    assert not signs(own_key(home, environ, trust, now), trust)
    assert not shared.exists()
    assert list(trust_store(home, {}).keys()) == []


def test_an_empty_variable_is_none(home, now):
    environ = {"LIFECYCLE_SIGNING_KEY": "", "LIFECYCLE_TRUSTED_KEYS": ""}
    trust = trust_store(home, environ)
    assert trust.file == trust_store(home, {}).file
    assert signs(own_key(home, environ, trust, now), trust)


def test_a_broken_file_of_trusted_keys_is_not_begun_anew(home, now):
    trust = trust_store(home, {})
    own_key(home, {}, trust, now)
    trust.file.write_text("{}")
    with pytest.raises(ConfigError, match=str(trust.file)):
        own_key(home, {}, trust, now)
    assert trust.file.read_text() == "{}"
