"""Key files, and strict JSON.

Key files are read only with safe permissions, replaced in one step, and changed under a lock. Strict JSON is read
the same way by every parser: UTF-8 and no key twice in one object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lifecycle.durable import exclusive, write_durably
from lifecycle.errors import Unavailable

_MAX_BYTES = 1_000_000


class TooOpenError(Exception):
    """The file's mode gives other users access that only its owner may have."""


def read_protected(file: Path, forbidden: int) -> bytes:
    """Read a file whose mode has none of the ``forbidden`` bits.

    The mode is taken from the open file, so the file cannot be swapped between check and read.

    Raises:
        TooOpenError: the mode has a forbidden bit.
        OSError: the file cannot be read.
        ValueError: the file is larger than 1 MB.
    """
    with file.open("rb") as stream:
        if os.fstat(stream.fileno()).st_mode & forbidden:
            raise TooOpenError
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("larger than any file of keys")
    return content


def write_protected(file: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step. It has ``mode`` before its first byte is visible, whatever the umask.

    Raises:
        Unavailable: the file cannot be written; the old one is unchanged.
    """
    with _failing_as_unavailable(file):
        write_durably(file, content, mode)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the exclusive lock for changes to ``file``, across processes and threads.

    The kernel releases the lock when the process dies. A missing folder is created with mode 700.

    Raises:
        Unavailable: the folder cannot be written to.
    """
    with _failing_as_unavailable(file):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as held:
        with _failing_as_unavailable(file):
            held.enter_context(exclusive(file.with_name(f".{file.name}.lock")))
        yield


@contextmanager
def _failing_as_unavailable(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Unavailable(f"{file} cannot be written: {exc.strerror}") from exc


def strict_json(text: bytes) -> Any:
    """Parse UTF-8 JSON; an object with a repeated key is an error.

    Raises:
        ValueError: not UTF-8, not JSON, a repeated key, or nested too deep.
    """

    def without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise ValueError("an object has the same key twice")
        return fields

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=without_repeated_keys)
    except RecursionError:
        raise ValueError("nested too deep") from None
