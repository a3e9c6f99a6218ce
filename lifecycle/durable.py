"""Atomic and durable file writes, and one file lock.

A file is written under another name in the same folder, synced and renamed, and the folder is synced: a reader
sees the old content or the new, even after a power cut.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lifecycle.errors import Conflict

_ASIDE = ".writing-"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def write_durably(path: Path, content: bytes, mode: int | None = None) -> None:
    """Replace ``path`` in one step.

    Args:
        mode: Permissions, which it has before its first byte is visible; None for what the umask gives.

    Raises:
        OSError: nothing changed, and nothing is left beside it.
    """
    with writing_durably(path, mode) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by a value as JSON, in one step."""
    write_durably(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode())


@contextmanager
def writing_durably(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """A file to write in pieces, which replaces ``path`` in one step when the block ends without an error.

    Raises:
        OSError: nothing changed, and nothing is left beside it.
    """
    aside = path.with_name(f"{_ASIDE}{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with os.fdopen(os.open(aside, _NEW, 0o666 if mode is None else 0o600), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def exclusive(path: Path, busy: str | None = None) -> Iterator[int]:
    """Hold the exclusive lock of a folder or file across processes and threads; a missing file is created.

    The kernel frees it when the process dies.

    Args:
        busy: The message of the error when the lock is held; None: wait until it is free.

    Yields:
        The open file.

    Raises:
        Conflict: it is held.
        OSError: the file cannot be opened.
    """
    kind = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, kind | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if busy is None else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(busy) from None
        yield descriptor
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Sync a written file to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync a folder's names to disk; a rename is durable only after that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Delete what killed writers have left. Only for the folder's one writer."""
    for litter in folder.glob(f"{_ASIDE}*"):
        litter.unlink()
