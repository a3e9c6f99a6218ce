"""Digest of a version's current files in the artifact store, computed by the registry.

The gates judged a snapshot on another machine. Only the registry can tell whether the version still has those
files, so it reads them again before it accepts evidence and before it moves a version.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.utils.uri import validate_path_is_safe

from lifecycle.errors import IntegrityError, LifecycleError
from lifecycle.registry.snapshot import digest_of

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
        if fingerprint == _fingerprint(folder) and _settled(fingerprint):
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


def _settled(fingerprint: _Fingerprint) -> bool:
    """Whether the files are old enough that a change within one clock tick cannot be missed."""
    newest_ns = max((ctime for _, _, _, ctime, _ in fingerprint), default=0)
    return time.time_ns() - newest_ns > _SETTLED_S * 1e9
