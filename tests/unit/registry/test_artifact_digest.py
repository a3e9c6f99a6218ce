"""The digest of files where they lie: always that of the bytes there now, and never that of files elsewhere."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from lifecycle.errors import IntegrityError
from lifecycle.registry import snapshot as artifact_digest
from lifecycle.registry.snapshot import ArtifactDigests, SnapshotStore, digest_of

SEED = 20261122
DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights.bin").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose files were read, once each time."""
    folders: list[Path] = []

    def counted(folder: Path) -> str:
        folders.append(folder)
        return digest_of(folder)

    monkeypatch.setattr(artifact_digest, "digest_of", counted)
    return folders


def test_it_is_the_digest_of_a_snapshot_of_the_same_files(folder, tmp_path):
    def fill(target: Path) -> None:
        for path in sorted(folder.rglob("*")):
            copy = target / path.relative_to(folder)
            copy.mkdir() if path.is_dir() else copy.write_bytes(path.read_bytes())

    snapshot = SnapshotStore(tmp_path / "snapshots").put(fill)
    for uri in (folder.as_uri(), str(folder)):
        assert ArtifactDigests().of(uri) == snapshot.digest


def test_of_300_changes_in_place_with_the_same_size_and_time_each_is_noticed_at_once(folder):
    chance = random.Random(SEED)
    digests, weights = ArtifactDigests(), folder / "data" / "weights.bin"
    times = weights.stat()
    seen = digests.of(folder.as_uri())
    for round_number in range(300):
        content = bytearray(weights.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        with weights.open("r+b") as file:
            file.write(content)
        os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))
        now = digests.of(folder.as_uri())
        assert now == digest_of(folder) != seen, f"seed {SEED}, round {round_number}"
        seen = now


def test_files_that_nobody_has_touched_for_a_while_are_read_once(folder, read, monkeypatch):
    digests = ArtifactDigests()
    for _ in range(2):
        digests.of(folder.as_uri())
    assert len(read) == 2  # quite new: two changes within one tick of the clock would look alike
    monkeypatch.setattr(artifact_digest, "_SETTLED_S", -1.0)
    for _ in range(3):
        digests.of(folder.as_uri())
    assert len(read) == 3


@pytest.mark.parametrize("change", ["content", "add", "remove", "rename", "folder"])
def test_what_was_read_before_is_read_again_when_it_changed(folder, read, monkeypatch, change):
    monkeypatch.setattr(artifact_digest, "_SETTLED_S", -1.0)
    digests = ArtifactDigests()
    before = digests.of(folder.as_uri())
    weights = folder / "data" / "weights.bin"
    match change:
        case "content":
            weights.write_bytes(bytes(256))
        case "add":
            (folder / "data" / "code.py").write_text("")
        case "remove":
            weights.unlink()
        case "rename":
            weights.rename(folder / "data" / "weights2.bin")
        case "folder":
            (folder / "data").rename(folder / "datb")
    assert digests.of(folder.as_uri()) == digest_of(folder) != before
    assert len(read) == 2


def test_not_everything_that_was_ever_read_is_kept_in_mind(tmp_path, read, monkeypatch):
    monkeypatch.setattr(artifact_digest, "_SETTLED_S", -1.0)
    monkeypatch.setattr(artifact_digest, "_MOST_KNOWN", 2)
    digests, folders = ArtifactDigests(), [tmp_path / str(number) for number in range(3)]
    for each in folders:
        each.mkdir()
        (each / "MLmodel").write_text(each.name)
        digests.of(each.as_uri())
    digests.of(folders[2].as_uri())
    assert len(read) == 3
    digests.of(folders[0].as_uri())
    assert len(read) == 4


def test_several_threads_get_the_same_answer(folder):
    digests, found = ArtifactDigests(), list[str]()
    threads = [threading.Thread(target=lambda: found.append(digests.of(folder.as_uri()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [digest_of(folder)] * 8


@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "dangling"])
def test_links_and_special_files_are_refused_also_where_there_were_none_before(folder, kind, monkeypatch):
    monkeypatch.setattr(artifact_digest, "_SETTLED_S", -1.0)
    digests = ArtifactDigests()
    digests.of(folder.as_uri())
    sneaky = folder / "data" / "sneaky"
    if kind == "pipe":
        os.mkfifo(sneaky)
    else:
        sneaky.symlink_to({"file": "/etc/hostname", "folder": "..", "dangling": "/nowhere"}[kind])
    with pytest.raises(IntegrityError, match="sneaky is a link or a special file"):
        digests.of(folder.as_uri())


@pytest.mark.parametrize(
    "uri",
    ["file:///nowhere/at/all", "nonsense:/x", "sftp://nowhere.invalid/x", "mlflow-artifacts:/x", "models:/x/y/z"],
)
def test_what_cannot_be_read_is_said_in_one_line(uri, monkeypatch):
    monkeypatch.delenv(DESTINATION, raising=False)
    with pytest.raises(IntegrityError, match=r"cannot be read by the registry \(\w+\)") as caught:
        ArtifactDigests().of(uri)
    assert "\n" not in str(caught.value)


def test_no_files_are_no_model(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntegrityError, match="has no files"):
        ArtifactDigests().of((tmp_path / "empty").as_uri())


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/7/run/model", "mlflow-artifacts://host:5000/7/run/model"])
def test_a_server_that_hands_out_artifacts_reads_them_where_they_lie(folder, tmp_path, monkeypatch, uri):
    home = tmp_path / "artifacts" / "7" / "run"
    home.mkdir(parents=True)
    folder.rename(home / "model")
    for destination in (tmp_path / "artifacts", f"{(tmp_path / 'artifacts').as_uri()}/"):
        monkeypatch.setenv(DESTINATION, str(destination))
        assert ArtifactDigests().of(uri) == digest_of(home / "model")


@pytest.mark.parametrize(
    "path", ["../model", "7/../../model", "%2e%2e/model", "%252e%252e/model", "/etc", "7//../../model"]
)
def test_nothing_outside_the_artifacts_is_read(folder, tmp_path, monkeypatch, path, read):
    (tmp_path / "artifacts" / "7").mkdir(parents=True)
    monkeypatch.setenv(DESTINATION, str(tmp_path / "artifacts"))
    with pytest.raises(IntegrityError):
        ArtifactDigests().of(f"mlflow-artifacts:/{path}")
    assert all(tmp_path / "artifacts" in (found, *found.parents) for found in read)
