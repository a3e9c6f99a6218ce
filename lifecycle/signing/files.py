"""Files that keys lie in: whole or not there, as closed as they have to be, changed by one process at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.durable import sync_folder
from lifecycle.errors import Unavailable

_MAX_BYTES = 1_000_000


class TooOpenError(Exception):
    """Others may do with a file what only its owner may."""


def read_closed(file: Path, forbidden: int) -> bytes:
    """The content of a file, if its mode has none of the ``forbidden`` bits.

    The very file that is read is looked at, so that nobody can swap it in between.

    Raises:
        TooOpenError: its mode has one.
        OSError: it cannot be read.
        ValueError: it is far larger than any file of keys.
    """
    with file.open("rb") as stream:
        if os.fstat(stream.fileno()).st_mode & forbidden:
            raise TooOpenError
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("larger than any file of keys")
    return content


def write_closed(file: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step; whatever the umask says, its mode is ``mode`` from the first byte on.

    Raises:
        Unavailable: nothing changed.
    """
    with _failing_as_unavailable(file):
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            Path(name).replace(file)
        finally:
            Path(name).unlink(missing_ok=True)
        sync_folder(file.parent)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Be the only one, in any process or thread, that changes ``file``; the kernel frees the place if we die.

    Its folder is made where it is missing, closed to others.

    Raises:
        Unavailable: the folder cannot be written to.
    """
    with _failing_as_unavailable(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file.with_name(f".{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor) as lock:
        with _failing_as_unavailable(file):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _failing_as_unavailable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Unavailable(f"{file} cannot be written: {exc.strerror}") from exc
