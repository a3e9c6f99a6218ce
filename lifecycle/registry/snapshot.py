"""Immutable local copies of model files, each in a folder named by the sha256 digest of its content.

::

    root/
      3f9a…/                 one snapshot's files, read-only
      3f9a….manifest.json    [[path, size, sha256], …]; its own canonical sha256 is the digest
      .incoming-…/           being filled; swept when a day old

The registry computes the same digest of a version's current files in the artifact store. The gates judged a
snapshot on another machine. Only the registry can tell whether the version still has those files, so it reads
them again before it accepts evidence and before it moves a version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from lifecycle.domain.model import Snapshot
from lifecycle.domain.text import canonical_json, sha256_of
from lifecycle.durable import sync_file, sync_folder, write_durably
from lifecycle.errors import IntegrityError, LifecycleError, NotFound, Unavailable

Manifest = list[tuple[str, int, str]]
"""Relative POSIX path, size in bytes and sha256 of each file, sorted by path."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INCOMING = ".incoming-"
_LITTER_AGE_S = 24 * 3600


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
        for litter in root.glob(f"{_INCOMING}*"):  # of killed processes
            with suppress(OSError):  # another process sweeps the same
                if time.time() - litter.stat().st_mtime > _LITTER_AGE_S:
                    shutil.rmtree(litter) if litter.is_dir() else litter.unlink()
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
    manifest = []
    for path in _files_of(folder):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        manifest.append((path.relative_to(folder).as_posix(), path.stat().st_size, sha256))
    return sorted(manifest)


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


def _make_read_only(folder: Path, manifest: Manifest) -> None:
    for name, _, _ in manifest:
        path = folder / name
        sync_file(path)
        path.chmod(0o444)
    for parent, _, _ in os.walk(folder):
        sync_folder(Path(parent))


_DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"  # mlflow.server.constants
_SETTLED_S = 2.0
_MOST_KNOWN = 256

_Fingerprint = tuple[tuple[str, int, int, int, int], ...]


class ArtifactDigests:
    """Digests by URI. Unchanged local files are not read twice; other files always are."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[_Fingerprint, str]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, uri: str) -> str:
        """The digest that a snapshot of these files has (see :mod:`lifecycle.registry.snapshot`).

        Args:
            uri: Location of the files in the registry.

        Raises:
            IntegrityError: they cannot be read here, there are none, or there is a link among them.
        """
        # Servers of models read snapshots too, and do without MLflow.
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

        try:
            repository = get_artifact_repository(_as_this_server_reads(uri))
            if isinstance(repository, LocalArtifactRepository):
                return self._of_folder(uri, Path(repository.artifact_dir))
            with TemporaryDirectory(prefix="lifecycle-digest-") as folder:
                return digest_of(Path(repository.download_artifacts("", folder)))
        except LifecycleError:
            raise
        except Exception as exc:  # each kind of artifact store has errors of its own, with no common root
            raise IntegrityError(
                f"the files of this version cannot be read by the registry ({type(exc).__name__}), so it cannot "
                f"tell whether they are those that were judged. Give the server access to its artifact store"
            ) from exc

    def _of_folder(self, uri: str, folder: Path) -> str:
        fingerprint = _fingerprint(folder)
        with self._lock:
            known = self._known.get(uri)
        if known and known[0] == fingerprint:
            return known[1]
        digest = digest_of(folder)
        # old enough that a change within one clock tick cannot be missed
        newest_ns = max((ctime for _, _, _, ctime, _ in fingerprint), default=0)
        settled = time.time_ns() - newest_ns > _SETTLED_S * 1e9
        if settled and fingerprint == _fingerprint(folder):
            with self._lock:
                self._known[uri] = (fingerprint, digest)
                while len(self._known) > _MOST_KNOWN:
                    self._known.popitem(last=False)
        return digest


def _as_this_server_reads(uri: str) -> str:
    """Resolve ``mlflow-artifacts:`` on a server that serves artifacts, below its artifact destination."""
    destination = os.environ.get(_DESTINATION)
    if urlsplit(uri).scheme != "mlflow-artifacts" or not destination:
        return uri
    from mlflow.server.handlers import _get_workspace_scoped_repo_path_if_enabled
    from mlflow.utils.uri import validate_path_is_safe

    path = validate_path_is_safe(urlsplit(uri).path.lstrip("/"))
    return f"{destination.rstrip('/')}/{_get_workspace_scoped_repo_path_if_enabled(path)}"


def _fingerprint(folder: Path) -> _Fingerprint:
    """Changes with any change of the files, as an inode's change time cannot be set back."""
    return tuple(sorted(_stamps(folder, folder)))


def _stamps(root: Path, folder: Path) -> Iterator[tuple[str, int, int, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _stamps(root, Path(entry.path))
        else:
            s = entry.stat(follow_symlinks=False)
            name = Path(entry.path).relative_to(root).as_posix()
            yield name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino
