"""Contents to be judged, and what is packed in zip, gzip, zlib, bzip2 and xz files, entry by entry, with limits.

A zip file must be a zip file from its first byte to its last: readers find it by its end, whatever precedes it.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol, cast

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


ZIP = b"PK\x03\x04"
_XZ_MEMORY = 256 * MIB  # of memory for a decompressor
_MOST_DIRECTORY = 32 * MIB  # of a zip file: about 300,000 entries
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
)


class BrokenArchive(Exception):
    """The archive cannot be unpacked; the message says why."""


class UnknownPacking(Exception):
    """The packing is not supported; the message names it."""


def is_hidden_zip(content: Content) -> bool:
    """Whether zip readers would accept it as a zip file although it does not start like one."""
    content.file.seek(0)
    return not content.head(4).startswith(ZIP) and zipfile.is_zipfile(content.file)


def unzip(content: Content, allowance: Allowance) -> Iterator[Content]:
    """The entries of a zip file.

    Raises:
        BrokenArchive: truncated, wrong checksums or names, or bytes that belong to no entry.
        UnknownPacking: encrypted, or compressed in an unusual way.
        Bomb, TooLarge: as :class:`Allowance` raises.
    """
    _check_layout(content)
    try:
        with zipfile.ZipFile(content.file) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            _check_names([info.filename for info in archive.infolist()])
            for info in entries:
                if info.flag_bits & 0x1:
                    raise UnknownPacking("is an encrypted zip file")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise UnknownPacking("is a zip file with an unusual compression")
                with archive.open(info) as packed:
                    chunks = iter(partial(packed.read, CHUNK), b"")
                    yield allowance.unpack(content, info.filename, info.compress_size, chunks)
    except _ZIP_ERRORS as exc:
        raise BrokenArchive("is a zip file that cannot be unpacked") from exc


def entries_of(content: Content) -> frozenset[str]:
    """Names of the files in a zip file. Raises BrokenArchive if it cannot be read."""
    _check_layout(content)
    try:
        with zipfile.ZipFile(content.file) as archive:
            return frozenset(info.filename for info in archive.infolist() if not info.is_dir())
    except _ZIP_ERRORS as exc:
        raise BrokenArchive("is a zip file that cannot be unpacked") from exc


def _check_layout(content: Content) -> None:
    """Check that the directory ends at the file's end, and that all bytes before it belong to entries."""
    start = content.size - _END.size
    signature, *_, size, offset, comment = _END.unpack(_at(content, start, _END.size))
    if signature != b"PK\x05\x06" or comment:
        raise BrokenArchive("is a zip file that is cut off, or that something follows")
    if 0xFFFFFFFF in (size, offset) or _at(content, start - _LOCATOR_64.size, 4) == b"PK\x06\x07":
        start = _LOCATOR_64.unpack(_at(content, start - _LOCATOR_64.size, _LOCATOR_64.size))[2]
        signature, *_, size, offset = _END_64.unpack(_at(content, start, _END_64.size))
        if signature != b"PK\x06\x06":
            raise BrokenArchive("is a zip file whose end is not where it should be")
    if size > _MOST_DIRECTORY:
        raise TooLarge
    if offset + size != start or not content.head(4).startswith(ZIP):
        raise BrokenArchive("is a zip file with bytes that belong to no entry")


def _at(content: Content, place: int, count: int) -> bytes:
    content.file.seek(max(place, 0))
    found = content.file.read(count)
    if place < 0 or len(found) < count:
        raise BrokenArchive("is a zip file that is cut off")
    return found


def _check_names(names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BrokenArchive(f"is a zip file that holds {twice[0]} twice")
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
            raise BrokenArchive(f"is a zip file with an entry outside of it, {name}")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, most: int, /) -> bytes:
        """Decompress at most that many bytes; call it again with :meth:`rest`."""


_COMPRESSIONS: tuple[tuple[bytes, str, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", "gzip", lambda: zlib.decompressobj(wbits=31)),
    *((magic, "zlib", lambda: zlib.decompressobj(wbits=15)) for magic in (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
    (b"]\x00\x00", "lzma", lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY)),
)


def decompress(content: Content, allowance: Allowance) -> Content | None:
    """The decompressed content; None if it does not start like a compressed file.

    Raises:
        BrokenArchive: truncated, or followed by other bytes.
        Bomb, TooLarge: as :class:`Allowance` raises.
    """
    head = content.head(8)
    for magic, name, decompressor in _COMPRESSIONS:
        if head.startswith(magic) and _starts(content, decompressor()):
            content.file.seek(0)
            chunks = _decompressed(content.file, decompressor(), name)
            return allowance.unpack(content, "", content.size, chunks)
    return None


_ERRORS = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def _starts(content: Content, decompressor: _Decompressor) -> bool:
    """Whether it can be decompressed: a plain text may start with ``BZh`` or ``x^``."""
    try:
        decompressor.decompress(content.head(4096), 1)
    except lzma.LZMAError as exc:
        return "memory" in str(exc).lower()
    except _ERRORS:
        return False
    return True


def _decompressed(file: BinaryIO, decompressor: _Decompressor, name: str) -> Iterator[bytes]:
    waiting = b""
    try:
        while not decompressor.eof:
            waiting = waiting or file.read(CHUNK)
            chunk = decompressor.decompress(waiting, CHUNK)
            waiting = getattr(decompressor, "unconsumed_tail", b"")  # of zlib; the others store it themselves
            if not chunk and not waiting and not (waiting := file.read(CHUNK)) and not decompressor.eof:
                raise BrokenArchive(f"is a {name} file that is cut off")
            yield chunk
    except _ERRORS as exc:
        raise BrokenArchive(f"is a {name} file that cannot be unpacked") from exc
    if decompressor.unused_data or waiting or file.read(1):
        raise BrokenArchive(f"is a {name} file that something follows")


_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\f\r")


def is_text(file: BinaryIO) -> bool:
    """Whether it is UTF-8 without control characters, such as JSON, YAML and LightGBM's models."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while chunk := file.read(CHUNK):
            if len(chunk.translate(None, _CONTROLS)) < len(chunk):
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
