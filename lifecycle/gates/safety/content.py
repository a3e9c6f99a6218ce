"""Content to scan, from a file or an archive, and limits on unpacking."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, cast

MIB = 1 << 20
CHUNK = MIB

_IN_MEMORY = 16 * MIB  # of an unpacked file in memory; more is kept on disk
_ANY_RATIO = 16 * MIB  # up to this size any compression ratio is accepted
_MOST_RATIO = 100  # above it; a fitted model compresses 2 to 10 times
_MOST_ENTRIES = 100_000
_MOST_DEPTH = 5


class Bomb(Exception):
    """The content unpacks to far more than its size."""


class TooLarge(Exception):
    """The content is larger than the operator's limit."""


@dataclass(frozen=True, slots=True)
class Content:
    """Content to scan.

    Attributes:
        name: Path in the model; ``outer!inner`` for unpacked content.
        file: Opened for reading, at its start.
        size: In bytes.
        depth: Number of archives around it.
    """

    name: str
    file: BinaryIO
    size: int
    depth: int = 0

    def head(self, count: int) -> bytes:
        """The first bytes of the content."""
        self.file.seek(0)
        return self.file.read(count)


class Allowance:
    """The remaining allowance for unpacking all archives of a model."""

    def __init__(self, most: int) -> None:
        self.unpacked = 0
        self._most = most
        self._packed = 0  # of the content of archives in the model's folder
        self._entries = 0

    def unpack(self, outer: Content, name: str, packed: int, chunks: Iterable[bytes]) -> Content:
        """Write the unpacked ``chunks`` to an unnamed file.

        Args:
            packed: Size before unpacking, in bytes.

        Raises:
            Bomb: archives nested too deeply, too many entries, or too high a compression ratio.
            TooLarge: more than the limit for all archives.
        """
        self._entries += 1
        if outer.depth >= _MOST_DEPTH or self._entries > _MOST_ENTRIES:
            raise Bomb
        file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115  # its caller closes it
        self._packed += packed if outer.depth == 0 else 0
        size = 0
        for chunk in chunks:
            size += len(chunk)
            self.unpacked += len(chunk)
            if _is_too_well_packed(size, packed) or _is_too_well_packed(self.unpacked, self._packed):
                raise Bomb
            if self.unpacked > self._most:
                raise TooLarge
            file.write(chunk)
        file.seek(0)
        return Content(f"{outer.name}!{name}" if name else f"{outer.name}!", file, size, outer.depth + 1)


def _is_too_well_packed(size: int, packed: int) -> bool:
    return size > max(_ANY_RATIO, _MOST_RATIO * packed)
