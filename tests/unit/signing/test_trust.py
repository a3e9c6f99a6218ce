"""Who is trusted is what the file says, at once and whoever writes it; one that is not sound is an error."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifecycle.errors import Conflict, NotFound, Unavailable, UsageError
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

EVIDENCE, OVERRIDE = Permission.EVIDENCE, Permission.OVERRIDE
HANGS_S = 60


def names(store):
    return [key.name for key in store.keys()]  # noqa: SIM118  a method of ours


@pytest.fixture
def other():
    return SigningKey.generate()


def test_a_file_that_is_not_there_trusts_nobody(store, key):
    assert list(store.keys()) == []
    assert store.find(key.kid) is None
    assert not store.file.parent.exists()


def test_a_key_is_trusted_with_what_was_said_and_nothing_else(store, key, other, now):
    store.trust(key, "ci", [EVIDENCE], now)
    store.trust(other, "alice@example.org", [EVIDENCE, OVERRIDE], now)
    again = TrustStore(store.file)
    assert names(again) == ["ci", "alice@example.org"]
    ci, alice = again.find(key.kid), again.find(other.kid)
    assert (ci.permits(EVIDENCE), ci.permits(OVERRIDE)) == (True, False)
    assert (alice.permits(EVIDENCE), alice.permits(OVERRIDE)) == (True, True)
    assert (ci.trusted_at, ci.revoked_at) == (now, None)
    store.trust(other, None, [OVERRIDE], now)
    assert again.find(other.kid).may == {OVERRIDE}


def test_a_revoked_key_permits_nothing_and_stays_on_record(store, key, now):
    store.trust(key, "ci", Permission, now)
    later = now + timedelta(days=1)
    assert store.revoke("ci", later).revoked_at == later
    known = store.find(key.kid)
    assert not any(known.permits(permission) for permission in Permission)
    assert store.revoke("ci", later + timedelta(days=1)).revoked_at == later
    store.trust(key, None, [EVIDENCE], later)
    assert store.find(key.kid).permits(EVIDENCE)


def test_another_store_on_the_same_file_knows_at_once(store, key, now):
    watcher = TrustStore(store.file)
    for _ in range(20):
        store.trust(key, "ci", [EVIDENCE], now)
        assert watcher.find(key.kid).permits(EVIDENCE)
        store.revoke("ci", now)
        assert not watcher.find(key.kid).permits(EVIDENCE)
    store.file.unlink()
    assert watcher.find(key.kid) is None


# Names


def test_two_keys_that_count_never_share_a_name(store, key, other, now):
    store.trust(key, "ci", [EVIDENCE], now)
    with pytest.raises(Conflict, match="'ci': choose another name, or revoke"):
        store.trust(other, "ci", [EVIDENCE], now)
    store.trust(other, "ci-2", [EVIDENCE], now)
    with pytest.raises(Conflict):
        store.trust(other, "ci", [EVIDENCE], now)
    assert names(store) == ["ci", "ci-2"]


def test_a_revoked_keys_name_is_free_and_then_means_the_new_one(store, key, other, now):
    store.trust(key, "ci", [EVIDENCE], now)
    store.revoke("ci", now)
    store.trust(other, "ci", [EVIDENCE], now)
    with pytest.raises(Conflict):
        store.trust(key, None, [EVIDENCE], now)
    assert store.revoke("ci", now).kid == other.kid
    assert store.revoke(key.kid, now).kid == key.kid


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-ci", ".ci", "@", "a" * 41, "ci\n", "é", "ci/../x", "\x1b[31mci", "'ci'", None]
)
def test_what_is_no_name_for_a_key(store, key, now, name):
    with pytest.raises(UsageError, match="a key needs a name"):
        store.trust(key, name, [EVIDENCE], now)
    assert not store.file.exists()


def test_a_key_that_is_trusted_with_nothing_is_a_mistake(store, key, now):
    with pytest.raises(UsageError, match="say what the key may sign"):
        store.trust(key, "ci", [], now)


def test_a_key_goes_by_its_name_or_the_beginning_of_its_thumbprint(store, key, other, now):
    store.trust(key, "ci", [EVIDENCE], now)
    store.trust(other, key.kid[:20], [EVIDENCE], now)
    assert store.revoke(key.kid[:20], now).kid == other.kid
    assert store.revoke(key.kid[:8], now).kid == key.kid


@pytest.mark.parametrize("who", ["", "c", "CI", "ci ", "{kid:.7}", "{kid}A", "*"])
def test_what_is_no_key_revokes_nothing(store, key, now, who):
    store.trust(key, "ci", [EVIDENCE], now)
    with pytest.raises(NotFound, match=r"unknown key .* Known: ci$"):
        store.revoke(who.format(kid=_Text(key.kid)), now)
    assert store.find(key.kid).permits(EVIDENCE)


class _Text(str):
    """Lets ``{kid:.7}`` cut."""

    __slots__ = ()


# By itself


def test_a_key_is_introduced_once_and_what_was_decided_since_stands(store, key, other, now):
    assert store.introduce(key, "own", [EVIDENCE], now).permits(EVIDENCE)
    store.revoke("own", now)
    assert store.introduce(key, "own", Permission, now).revoked_at == now
    assert store.introduce(other, "own", [EVIDENCE], now).name == "own"
    third = SigningKey.generate()
    assert store.introduce(third, "own", [EVIDENCE], now).name == "own-2"
    assert store.introduce(third, "own", Permission, now).may == {EVIDENCE}
    assert names(store) == ["own", "own", "own-2"]


def test_a_key_that_is_known_needs_no_file_that_can_be_written_to(store, key, now):
    known = store.trust(key, "ci", [EVIDENCE], now)
    lock = store.file.with_name(".trusted.json.lock")
    lock.unlink()
    lock.symlink_to(lock.with_name("no-such-folder") / "lock")
    assert store.introduce(key, "own", [EVIDENCE], now) == known
    with pytest.raises(Unavailable, match=r"trusted\.json cannot be written: No such file or directory"):
        store.introduce(SigningKey.generate(), "own", [EVIDENCE], now)
