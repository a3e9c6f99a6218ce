"""A disk that is soon full."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of that size, in memory, that every user may write to. Most users may not mount one."""
    with tempfile.TemporaryDirectory(prefix="lifecycle-disk-") as folder:
        Path(folder).chmod(0o755)
        options = f"size={megabytes}m,mode=0777"
        if _run("mount", "-t", "tmpfs", "-o", options, "lifecycle-test", folder).returncode:
            pytest.skip("not tested: a full disk, because this user may not mount a small one")
        try:
            yield Path(folder)
        finally:
            _run("umount", "--lazy", folder).check_returncode()


def read_only(folder: Path, so: bool) -> None:
    """Make a small disk read-only, or writable again."""
    _run("mount", "-o", f"remount,{'ro' if so else 'rw'}", str(folder)).check_returncode()


def fill(filler: Path, leave: int = 0) -> None:
    """Write a file until no byte more fits, and take ``leave`` bytes off it again."""
    with filler.open("ab") as file:
        for chunk in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    os.write(file.fileno(), b"\0" * chunk)
            except OSError as exc:
                if exc.errno != errno.ENOSPC:
                    raise
        file.truncate(max(0, file.tell() - leave))


def _run(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, capture_output=True, check=False)
