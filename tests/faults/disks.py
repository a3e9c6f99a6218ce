"""A disk that is soon full."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size at ``folder``, in memory. Mounting takes more than most users may."""
    options = f"size={megabytes}m,mode=0777"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "lifecycle-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def read_only(folder: Path, so: bool) -> None:
    """Make a small disk read-only, or writable again."""
    subprocess.run(["mount", "-o", f"remount,{'ro' if so else 'rw'}", str(folder)], check=True)


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
