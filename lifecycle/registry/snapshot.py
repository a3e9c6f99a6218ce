"""Immutable local copies of model files, each in a folder named by the sha256 digest of its content.

::

    root/
      3f9a…/                 one snapshot's files, read-only
      3f9a….manifest.json    [[path, size, sha256], …]; its own canonical sha256 is the digest
      .incoming-…/           being filled; swept when a day old
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lifecycle.domain.model import Snapshot
from lifecycle.domain.text import canonical_json, sha256_of
from lifecycle.durable import sync_file, sync_folder, write_durably
from lifecycle.errors import IntegrityError, NotFound, Unavailable

Manifest = list[tuple[str, int, str]]
"""Relative POSIX path, size in bytes and sha256 of each file, sorted by path."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INCOMING = ".incoming-"
_LITTER_AGE_S = 24 * 3600
_CHUNK = 1 << 20


class SnapshotStore:
    """A folder of snapshots. Several processes may use one root at the same time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, fill: Callable[[Path], None]) -> Snapshot:
        """Store the files that ``fill`` writes into an empty folder.

        Raises:
            IntegrityError: it wrote a link or a special file, or the same digest is here with other files.
            NotFound: it wrote nothing.
            Unavailable: the disk is full or not writable.
        """
        with incoming_folder(self.root) as folder:
            fill(folder)
            manifest = _manifest_of(folder)
            if not manifest:
                raise NotFound("the model version has no files")
            digest = sha256_of(manifest)
            _make_read_only(folder, manifest)
            write_durably(self._manifest_path(digest), canonical_json(manifest).encode())
            snapshot = Snapshot(digest, self.root / digest)
            if not settle(folder, snapshot.path):
                self.verify(snapshot)
            return snapshot

    def obtain(self, what: str, fill: Callable[[Path], None], digest: str | None) -> Snapshot:
        """A snapshot of ``what``. With a digest exactly those files, without ``fill`` if they are here.

        Raises:
            IntegrityError: neither the files here nor those that ``fill`` wrote are those bytes.
        """
        local = self.get(digest) if digest else None
        if local is not None:
            self.verify(local)
            return local
        fetched = self.put(fill)
        if digest not in (None, fetched.digest):
            raise IntegrityError(
                f"the files of {what} are not those that were judged: sha256 {fetched.digest[:12]}… instead "
                f"of {str(digest)[:12]}…"
            )
        return fetched

    def get(self, digest: str) -> Snapshot | None:
        """The snapshot with this digest, unverified, or None."""
        path = self.root / digest
        return Snapshot(digest, path) if _DIGEST.fullmatch(digest) and path.is_dir() else None

    def remember(self, source: str, digest: str | None) -> None:
        """Note the digest of what was fetched last from a source; None: forget it."""
        note = self._note(source)
        if digest is None:
            note.unlink(missing_ok=True)
        else:
            note.parent.mkdir(parents=True, exist_ok=True)
            write_durably(note, digest.encode())

    def remembered(self, source: str) -> Snapshot | None:
        """What was fetched last from a source, if it is here and whole."""
        try:
            local = self.get(self._note(source).read_text(encoding="utf-8"))
            if local is not None:
                self.verify(local)
        except (OSError, UnicodeDecodeError, IntegrityError):
            return None
        return local

    def _note(self, source: str) -> Path:
        return self.root / "fetched" / sha256_of(source)

    def verify(self, snapshot: Snapshot) -> None:
        """Read every file again and compare it with the manifest.

        Raises:
            IntegrityError: names the first file that was changed, added or removed.
        """
        recorded = self._recorded(snapshot)
        found = {path: (size, sha) for path, size, sha in _manifest_of(snapshot.path)}
        for path in sorted(recorded.keys() | found.keys()):
            if recorded.get(path) != found.get(path):
                what = "added" if path not in recorded else "removed" if path not in found else "changed"
                raise IntegrityError(
                    f"{path} was {what} in the snapshot {snapshot.digest[:12]}; "
                    f"delete {snapshot.path} to fetch the files again"
                )

    def _recorded(self, snapshot: Snapshot) -> dict[str, tuple[int, str]]:
        path = self._manifest_path(snapshot.digest)
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            manifest = None
        if sha256_of(manifest) != snapshot.digest:
            raise IntegrityError(
                f"{path.name} was changed or removed; delete {snapshot.path} to fetch the files again"
            )
        return {name: (size, sha) for name, size, sha in manifest}

    def _manifest_path(self, digest: str) -> Path:
        return self.root / f"{digest}.manifest.json"


def verified(snapshot: Snapshot) -> Snapshot:
    """The same snapshot, after every file of it was read again. Raises IntegrityError."""
    SnapshotStore(snapshot.path.parent).verify(snapshot)
    return snapshot


@contextmanager
def incoming_folder(root: Path) -> Iterator[Path]:
    """An empty folder under ``root`` to fill; gone afterwards unless it was settled.

    Raises:
        Unavailable: any OSError meanwhile: the disk is full or not writable.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root)
        folder = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=root))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as exc:
        raise Unavailable(f"cannot store files under {root}: {exc.strerror or type(exc).__name__}") from exc


def settle(folder: Path, final: Path) -> bool:
    """Rename ``folder`` to ``final`` in one step; False when ``final`` was there first."""
    try:
        folder.rename(final)
    except OSError:
        if final.is_dir():
            return False
        raise
    sync_folder(final.parent)
    return True


def digest_of(folder: Path) -> str:
    """Digest of a snapshot of these files.

    Raises:
        IntegrityError: there is a link or a special file among them, or there are none.
    """
    manifest = _manifest_of(folder)
    if not manifest:
        raise IntegrityError("the model version has no files")
    return sha256_of(manifest)


def _manifest_of(folder: Path) -> Manifest:
    return sorted(
        (path.relative_to(folder).as_posix(), path.stat().st_size, _sha256_of_file(path))
        for path in _files_of(folder)
    )


def _files_of(folder: Path) -> Iterator[Path]:
    """Regular files below ``folder``. A link could lead out of the snapshot, so it is refused."""
    for entry in os.scandir(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield from _files_of(Path(entry.path))
        elif stat.S_ISREG(mode):
            yield Path(entry.path)
        else:
            raise IntegrityError(f"{entry.name} is a link or a special file, which a snapshot may not hold")


def _sha256_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _make_read_only(folder: Path, manifest: Manifest) -> None:
    for name, _, _ in manifest:
        path = folder / name
        sync_file(path)
        path.chmod(0o444)
    for parent, _, _ in os.walk(folder):
        sync_folder(Path(parent))


def _sweep(root: Path) -> None:
    """Remove old folders of killed processes."""
    for litter in root.glob(f"{_INCOMING}*"):
        with suppress(OSError):  # another process sweeps the same
            if time.time() - litter.stat().st_mtime > _LITTER_AGE_S:
                shutil.rmtree(litter) if litter.is_dir() else litter.unlink()
