"""Files that are there whole or not at all, whatever is killed when.

A file is written aside in the same folder, synced, renamed, and the folder synced: a reader sees the old
content or the new, and after a power cut too.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_ASIDE = ".writing-"


def write_durably(path: Path, content: bytes) -> None:
    """Replace ``path`` in one step.

    Raises:
        OSError: nothing changed, and nothing is left beside it.
    """
    with writing_durably(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` in one step."""
    write_durably(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode())


@contextmanager
def writing_durably(path: Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece, which replaces ``path`` in one step when the block ends without an error.

    Raises:
        OSError: nothing changed, and nothing is left beside it.
    """
    aside = path.with_name(f"{_ASIDE}{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Put a file that is already written on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk: a rename is only as durable as its folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left beside; only for whoever is the folder's one writer."""
    for litter in folder.glob(f"{_ASIDE}*"):
        litter.unlink()
