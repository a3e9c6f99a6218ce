"""The file of trusted keys: whole, written by one at a time, and an error wherever it is not sound."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import ConfigError, Unavailable
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.trust import Permission, TrustStore

EVIDENCE, OVERRIDE = Permission.EVIDENCE, Permission.OVERRIDE
HANGS_S = 60


def names(store):
    return [key.name for key in store.keys()]  # noqa: SIM118  a method of ours


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077])
def test_others_may_read_the_file_and_not_write_to_it_whatever_the_umask(store, key, now, mask):
    before = os.umask(mask)
    try:
        store.trust(key, "ci", [EVIDENCE], now)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.file.stat().st_mode) == 0o644
    assert store.find(key.kid)


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620, 0o602, 0o777])
def test_a_file_that_others_can_write_to_is_refused_also_when_it_became_so(store, key, now, mode):
    store.trust(key, "ci", [EVIDENCE], now)
    assert store.find(key.kid)
    store.file.chmod(mode)
    for asked in (store.keys, lambda: store.revoke("ci", now), lambda: store.trust(key, "ci", [EVIDENCE], now)):
        with pytest.raises(ConfigError, match=rf"{store.file}: others may write .* chmod go-w {store.file}"):
            asked()
    store.file.chmod(mode & ~0o022)
    assert store.find(key.kid)


def entry(key: PublicKey, **changed: object) -> dict[str, object]:
    fields = {
        "kid": key.kid,
        "x": key.coordinate,
        "name": "ci",
        "may": ["evidence"],
        "trusted_at": "2026-05-03T12:00:00.000000Z",
        "revoked_at": None,
    } | changed
    return {name: value for name, value in fields.items() if value is not ...}


KEY, OTHER = SigningKey.generate(), SigningKey.generate()
REVOKED = {"revoked_at": "2026-05-04T12:00:00.000000Z"}
BROKEN_ENTRIES = {
    **{f"without {name}": {name: ...} for name in entry(KEY)},
    "a field of a later release": {"only_for": ["flights-delay"]},
    "another key's thumbprint": {"kid": OTHER.kid},
    "another key": {"x": OTHER.coordinate},
    "a thumbprint in other letters": {"kid": KEY.kid.swapcase()},
    "a padded key": {"x": f"{KEY.coordinate}="},
    "no key": {"x": 5},
    "an unknown permission": {"may": ["evidence", "everything"]},
    "permissions in one word": {"may": "evidence"},
    "permissions as an object": {"may": {"evidence": True}},
    "a permission that is a list": {"may": [["evidence"]]},
    "no name": {"name": ""},
    "a name that steers a terminal": {"name": "\x1b[2J"},
    "a name that is a number": {"name": 5},
    "a date alone": {"trusted_at": "2026-05-03"},
    "revoked: false": {"revoked_at": False},
    "revoked: empty": {"revoked_at": ""},
    "revoked: a number": {"revoked_at": 0},
}
BROKEN_FILES = {
    **{name: json.dumps({"keys": [entry(KEY, **changed)]}) for name, changed in BROKEN_ENTRIES.items()},
    "empty": "",
    "null": "null",
    "a list": "[]",
    "no keys": "{}",
    "keys as an object": '{"keys": {}}',
    "keys as a text": '{"keys": "abc"}',
    "something beside them": '{"keys": [], "trust": "everybody"}',
    "a key that is null": '{"keys": [null]}',
    "cut off": json.dumps({"keys": [entry(KEY)]})[:-3],
    "junk behind": json.dumps({"keys": [entry(KEY)]}) + "}",
    "keys twice": '{"keys": [], "keys": []}',
    "revoked twice": json.dumps({"keys": [entry(KEY, **REVOKED)]}).replace("}]", ', "revoked_at": null}]'),
    "a key twice": json.dumps({"keys": [entry(KEY, name="new"), entry(KEY, **REVOKED)]}),
    "a name twice": json.dumps({"keys": [entry(KEY), entry(OTHER)]}),
    "nested deep": '{"keys": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "not UTF-8": b'{"keys": []}\xff',
    "UTF-16": '{"keys": []}'.encode("utf-16"),
    "2 MB": '{"keys": []}' + " " * 2_000_000,
}


def test_the_entry_that_is_broken_below_is_sound_otherwise(store, now):
    store.file.parent.mkdir()
    store.file.write_text(json.dumps({"keys": [entry(KEY), entry(OTHER, **REVOKED)]}))
    assert store.find(KEY.kid).permits(EVIDENCE)
    assert not store.find(OTHER.kid).permits(EVIDENCE)


@pytest.mark.parametrize("content", BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_a_broken_file_is_an_error_that_names_it_and_stays_as_it_is(store, key, now, content):
    raw = content if isinstance(content, bytes) else content.encode()
    store.file.parent.mkdir()
    store.file.write_bytes(raw)
    for asked in (
        store.keys,
        lambda: store.revoke("ci", now),
        lambda: store.introduce(key, "own", [EVIDENCE], now),
    ):
        with pytest.raises(ConfigError, match=f"^{store.file}: not a file of trusted keys: ."):
            asked()
    assert store.file.read_bytes() == raw


def test_a_file_that_breaks_later_is_noticed_and_one_that_is_mended_is_read(store, key, now):
    store.trust(key, "ci", [EVIDENCE], now)
    sound = store.file.read_text()
    assert store.find(key.kid)
    for _ in range(2):
        store.file.write_text("{")
        with pytest.raises(ConfigError):
            store.find(key.kid)
    store.file.write_text(sound)
    assert store.find(key.kid)


@settings(deadline=None)
@given(content=st.binary(max_size=60) | st.text().map(str.encode))
def test_no_content_does_anything_else(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError):
        TrustStore(file).keys()


@settings(deadline=None)
@given(data=st.data())
def test_no_damage_adds_a_key_or_takes_a_revocation_back(tmp_path_factory, data):
    """The file is not signed, so some changes of a name or a time go through; a foreign key never comes of one."""
    sound = json.dumps({"keys": [entry(KEY), entry(OTHER, name="old", **REVOKED)]}).encode()
    position = data.draw(st.integers(0, len(sound) - 1))
    file = tmp_path_factory.getbasetemp() / "damaged.json"
    file.write_bytes(sound[:position] + data.draw(st.binary(max_size=3)) + sound[position + 1 :])
    try:
        keys = TrustStore(file).keys()
    except ConfigError:
        return
    assert {key.kid for key in keys if key.revoked_at is None} <= {KEY.kid}
    assert {key.kid for key in keys} == {KEY.kid, OTHER.kid}
    assert not any(key.permits(OVERRIDE) for key in keys)


@pytest.mark.parametrize("what", ["folder", "file above it"])
def test_what_cannot_be_read_is_an_error_and_never_nobody(store, key, now, what):
    if what == "folder":
        store.file.mkdir(parents=True)
    else:
        store.file.parent.write_text("")
    with pytest.raises(ConfigError, match=f"{store.file}: not a file of trusted keys: "):
        store.keys()
    with pytest.raises((ConfigError, Unavailable)):
        store.trust(key, "ci", [EVIDENCE], now)


# Many at once

WRITER = """
import sys, pathlib, datetime
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore
store, prefix = TrustStore(pathlib.Path(sys.argv[1])), sys.argv[2]
keys = [SigningKey.generate() for _ in range(10)]
now = datetime.datetime.now(datetime.UTC)
print("ready", flush=True)
sys.stdin.readline()
for number, key in enumerate(keys):
    store.trust(key, f"{prefix}{number}", [Permission.EVIDENCE], now)
    if number % 2:
        store.revoke(f"{prefix}{number}", now)
"""


def test_processes_that_write_at_once_lose_nothing_of_each_other(store):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.file), prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for prefix in "abcd"
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in running):
        store.keys()  # a reader never finds half of it
    for process in running:
        process.communicate(timeout=HANGS_S)
        assert process.returncode == 0
    assert sorted(names(store)) == sorted(f"{prefix}{number}" for prefix in "abcd" for number in range(10))
    revoked = {key.name for key in store.keys() if key.revoked_at}  # noqa: SIM118
    assert revoked == {f"{p}{n}" for p in "abcd" for n in range(1, 10, 2)}
    assert sorted(path.name for path in store.file.parent.iterdir()) == [".trusted.json.lock", "trusted.json"]


def test_threads_that_write_at_once_lose_nothing_of_each_other(store, now):
    def write(prefix):
        for number in range(5):
            store.trust(SigningKey.generate(), f"{prefix}{number}", [EVIDENCE], now)

    writers = [threading.Thread(target=write, args=(prefix,)) for prefix in "abcdef"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(HANGS_S)
    assert len(names(store)) == 30


def test_the_same_key_introduced_by_many_at_once_is_there_once(store, key, now):
    start = threading.Barrier(8)

    def introduce():
        start.wait()
        store.introduce(key, "own", [EVIDENCE], now)

    threads = [threading.Thread(target=introduce) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    assert names(store) == ["own"]
