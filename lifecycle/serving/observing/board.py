"""Counters that outlive their process: doubles in a memory-mapped file, one file per worker.

Counting is one store into memory, and the kernel keeps what was stored when the process is killed. A worker that
replaces a dead one takes over its file and counts on, so nothing is lost or counted twice. Each
file has one writer, held by a lock that the kernel releases; readers need none: aligned doubles are stored whole.

A file is a header (magic, bytes in use, the writer's pid and start) and entries that are only ever appended:
bytes of the key, count of the doubles, the key (JSON, padded to a multiple of 8), the doubles.
"""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from itertools import count as numbers
from pathlib import Path

from lifecycle.processes.process import ProcessId, is_alive

_LOG = logging.getLogger(__name__)
_MAGIC = b"counts 1"
_HEADER = struct.Struct("=8sQdd")
_USED = struct.Struct("=Q")
_ENTRY = struct.Struct("=II")
SIZE = 512 * 1024
"""Bytes of one file: enough for a few hundred models times protocols."""
_SUFFIX = ".counts"
_SPARE = 256
"""Doubles at the end for series that no longer fit; they are not shown."""

Key = tuple[str, ...]
"""A series: name of the metric, then the values of its labels."""


class Board:
    """The counters of this worker.

    Attributes:
        number: Number of the worker, from 0; a replacement has its predecessor's.
        values: All doubles of the file; :meth:`cells` says where a series begins.
    """

    def __init__(self, folder: Path) -> None:
        self.number, self._file = _take(folder)
        self._map = mmap.mmap(self._file, SIZE)
        self.values: memoryview[float] = memoryview(self._map).cast("d")
        magic, used, _, _ = _HEADER.unpack_from(self._map)
        self._used = used if magic == _MAGIC else _HEADER.size
        self._appending = threading.Lock()
        self._places = {key: start // 8 for key, start, _ in _entries(self._map[: self._used])}
        writer = ProcessId.own()
        _HEADER.pack_into(self._map, 0, _MAGIC, self._used, writer.pid, writer.started)

    def cells(self, key: Key, count: int) -> int:
        """Index in :attr:`values` of a series of ``count`` doubles, all 0 at first.

        When the board is full, all further series share one place, which is not shown.
        """
        place = self._places.get(key)
        if place is None:
            with self._appending:
                if key not in self._places:
                    self._places[key] = self._append(key, count)
                place = self._places[key]
        return place

    def close(self) -> None:
        """Mark this worker as ended; its counts stay. The mapping stays too, as others may still count."""
        if self._file >= 0:
            _HEADER.pack_into(self._map, 0, _MAGIC, self._used, 0, 0)
            fcntl.flock(self._file, fcntl.LOCK_UN)  # the map keeps the file open too
            os.close(self._file)
            self._file = -1

    def _append(self, key: Key, count: int) -> int:
        name = json.dumps(key).encode()
        name += b" " * (-len(name) % 8)
        start = self._used
        cells = start + _ENTRY.size + len(name)
        if cells + 8 * count > SIZE - 8 * _SPARE:
            _LOG.warning("no room for more metric series; one of %s is not counted", key[0])
            return SIZE // 8 - _SPARE
        self._map[start:cells] = _ENTRY.pack(len(name), count) + name
        self._used = cells + 8 * count
        _USED.pack_into(self._map, len(_MAGIC), self._used)  # last, so that a reader sees whole entries only
        return cells // 8


def read_board(path: Path) -> tuple[dict[Key, tuple[float, ...]], bool]:
    """The series that a worker has counted, and whether it still runs."""
    content = path.read_bytes()
    if content[: len(_MAGIC)] != _MAGIC:
        return {}, False  # just created, or of another release
    _, used, pid, started = _HEADER.unpack_from(content)
    series = {key: struct.unpack_from(f"={count}d", content, at) for key, at, count in _entries(content[:used])}
    return series, bool(pid) and is_alive(ProcessId(int(pid), started))


def boards(folder: Path) -> Iterator[tuple[int, Path]]:
    """Number and file of every worker that ever counted here."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        yield int(path.stem), path


def _entries(content: bytes) -> Iterator[tuple[Key, int, int]]:
    """Key, byte offset of the doubles, and their count, for each entry."""
    at = _HEADER.size
    while at < len(content):
        length, count = _ENTRY.unpack_from(content, at)
        cells = at + _ENTRY.size + length
        yield tuple(json.loads(content[at + _ENTRY.size : cells])), cells, count
        at = cells + 8 * count


def _take(folder: Path) -> tuple[int, int]:
    """The first number without a living worker, and its open, locked file; -1 for memory alone."""
    for number in numbers():
        file = os.open(folder / f"{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.posix_fallocate(file, 0, SIZE)  # a hole in the file would kill the process on a full disk
        except BlockingIOError:
            os.close(file)
            continue
        except OSError as exc:
            os.close(file)
            _LOG.warning("no room for metrics (%s); this worker's are not shown", exc.strerror)
            return number, -1
        return number, file
    raise AssertionError  # numbers do not run out
