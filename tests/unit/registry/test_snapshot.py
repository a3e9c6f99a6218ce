"""A snapshot is exactly the bytes that its digest names, or an error that names the file."""

from __future__ import annotations

import os
import random
import shutil
import stat
import threading
import time
from pathlib import Path

import pytest

from lifecycle.domain.model import Snapshot
from lifecycle.errors import IntegrityError, NotFound, Unavailable
from lifecycle.registry.snapshot import SnapshotStore

SEED = 20261121


def fill(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights.bin").write_bytes(bytes(range(256)) * 4)
    (folder / "data" / "names.txt").write_text("a\nb\n")


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


def litter(store: SnapshotStore) -> list[str]:
    return [p.name for p in store.root.glob(".*")]


def test_the_same_content_is_one_snapshot(store):
    first = store.put(fill)
    assert store.put(fill) == first
    assert store.get(first.digest) == first
    assert (first.path / "data" / "names.txt").read_text() == "a\nb\n"
    assert litter(store) == []


@pytest.mark.parametrize("where", ["content", "name", "folder"])
def test_other_content_names_or_folders_are_another_snapshot(store, where):
    def other(folder: Path) -> None:
        fill(folder)
        if where == "content":
            (folder / "MLmodel").write_text("flavors: {x}")
        elif where == "name":
            (folder / "MLmodel").rename(folder / "MLmodel2")
        else:
            (folder / "data").rename(folder / "datb")

    assert store.put(other).digest != store.put(fill).digest


def test_files_are_read_only(store):
    for path in store.put(fill).path.rglob("*"):
        assert path.is_dir() or not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe"])
def test_links_and_special_files_are_refused_and_nothing_stays(store, tmp_path, kind):
    def sneak(folder: Path) -> None:
        fill(folder)
        if kind == "pipe":
            os.mkfifo(folder / "data" / "sneaky")
        else:
            (folder / "data" / "sneaky").symlink_to("/etc/hostname" if kind == "link" else tmp_path)

    with pytest.raises(IntegrityError, match="sneaky is a link or a special file"):
        store.put(sneak)
    assert list(store.root.iterdir()) == []


def test_nothing_stays_of_a_fill_that_breaks(store):
    def breaks(folder: Path) -> None:
        fill(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put(breaks)
    assert list(store.root.iterdir()) == []
    with pytest.raises(NotFound):
        store.put(lambda _: None)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot store files under"):
        SnapshotStore(tmp_path / "file" / "snapshots").put(fill)


def tamper(snapshot: Snapshot, chance: random.Random) -> str:
    """Change one thing; returns the name that the error must hold."""
    files = sorted(p for p in snapshot.path.rglob("*") if p.is_file())
    victim = chance.choice(files)
    victim.chmod(0o644)
    match chance.choice(["flip", "append", "remove", "add", "rename"]):
        case "flip":
            content = bytearray(victim.read_bytes())
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            victim.write_bytes(bytes(content))
        case "append":
            victim.write_bytes(victim.read_bytes() + b"\0")
        case "remove":
            victim.unlink()
        case "add":
            victim = victim.with_name("added.py")
            victim.write_text("")
        case "rename":
            victim.rename(victim.with_name("zz"))
    return victim.name


def test_every_one_of_300_tamperings_is_found_and_named(store, tmp_path):
    chance = random.Random(SEED)
    original = store.put(fill)
    kept = tmp_path / "kept"
    shutil.copytree(original.path, kept)
    for round_number in range(300):
        name = tamper(original, chance)
        with pytest.raises(IntegrityError, match=name):
            store.verify(original)
        assert store.get(original.digest), f"seed {SEED}, round {round_number}"
        shutil.rmtree(original.path)
        shutil.copytree(kept, original.path)
    store.verify(original)


def test_a_changed_manifest_does_not_whitewash_changed_files(store):
    snapshot = store.put(fill)
    manifest = store.root / f"{snapshot.digest}.manifest.json"
    (snapshot.path / "MLmodel").chmod(0o644)
    (snapshot.path / "MLmodel").write_text("other")
    for content in ("[]", "null", "not json"):
        manifest.write_text(content)
        with pytest.raises(IntegrityError, match=r"manifest\.json was changed"):
            store.verify(snapshot)


def test_a_changed_snapshot_is_neither_used_nor_overwritten_unseen(store):
    snapshot = store.put(fill)
    (snapshot.path / "MLmodel").chmod(0o644)
    (snapshot.path / "MLmodel").write_text("other")
    for again in (lambda: store.put(fill), lambda: store.obtain("wine", fill, snapshot.digest)):
        with pytest.raises(IntegrityError, match="MLmodel was changed"):
            again()


def test_demanded_bytes_that_are_here_are_not_fetched_again(store):
    snapshot = store.put(fill)

    def never(folder: Path) -> None:
        raise AssertionError("fetched again")

    assert store.obtain("wine", never, snapshot.digest) == snapshot


@pytest.mark.parametrize("digest", ["", "..", "../x", "/etc", "0" * 63, "0" * 64, "Z" * 64])
def test_only_digests_of_snapshots_lead_anywhere(store, digest):
    store.put(fill)
    assert store.get(digest) is None


def test_several_at_once_make_one_snapshot(store):
    found: list[Snapshot] = []
    threads = [threading.Thread(target=lambda: found.append(store.put(fill))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert litter(store) == []


def test_what_a_killed_process_left_is_swept_when_old(store):
    snapshot = store.put(fill)
    old, young = store.root / ".incoming-old", store.root / ".incoming-young"
    for folder in (old, young):
        folder.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    assert store.put(fill) == snapshot
    assert litter(store) == [".incoming-young"]
