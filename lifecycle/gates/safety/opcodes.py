"""Reads a pickle's opcodes and raw arguments as leniently as the unpickler does.

``pickletools.genops`` refuses some arguments that ``Modules/_pickle.c`` takes, such as ``I0x10``. A file that it
breaks off at could still run, so only pickletools' tables are used here.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import BinaryIO

_LONGEST_TEXT = 256  # bytes; a longer text is not a name


class EndOfPickle(Exception):
    """The unpickler would stop here; the message says why."""


@dataclass(frozen=True, slots=True)
class Opcode:
    """How an opcode is read, and its effect on the stack.

    Attributes:
        argument: Bytes of its argument; below 0 one of pickletools' length codes; None without an argument.
        lines: Number of lines of a line argument.
        to_mark: Whether it pops everything down to the last mark, then ``pops`` more.
    """

    name: str
    argument: int | None
    lines: int
    to_mark: bool
    pops: int
    pushes: int


def _opcode(info: pickletools.OpcodeInfo) -> Opcode:
    to_mark = pickletools.markobject in info.stack_before
    pops = info.stack_before.index(pickletools.markobject) if to_mark else len(info.stack_before)
    argument = None if info.arg is None else info.arg.n
    lines = 2 if info.arg is not None and info.arg.name == "stringnl_noescape_pair" else 1
    return Opcode(info.name, argument, lines, to_mark, pops, len(info.stack_after))


_OPCODES = {ord(info.code): _opcode(info) for info in pickletools.opcodes}
_LENGTH_BYTES = {  # of the length before an argument, and whether it is signed
    pickletools.TAKEN_FROM_ARGUMENT1: (1, False),
    pickletools.TAKEN_FROM_ARGUMENT4: (4, True),
    pickletools.TAKEN_FROM_ARGUMENT4U: (4, False),
    pickletools.TAKEN_FROM_ARGUMENT8U: (8, False),
}


class OpcodeReader:
    """Reads at most ``size`` bytes from the current position of ``file``. ``at`` counts the bytes read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.at = 0

    def opcode(self) -> Opcode:
        """The next opcode. Raises EndOfPickle."""
        byte = self._bytes(1)
        try:
            return _OPCODES[byte[0]]
        except KeyError:
            raise EndOfPickle("it goes on with something that is no pickle") from None

    def argument(self, opcode: Opcode) -> bytes:
        """The argument's raw bytes; empty if longer than any name. Two lines are separated by a line feed.

        Raises EndOfPickle.
        """
        if opcode.argument is None:
            return b""
        if opcode.argument == pickletools.UP_TO_NEWLINE:
            return b"\n".join([self._line() for _ in range(opcode.lines)])
        length = opcode.argument
        if length < 0:
            width, signed = _LENGTH_BYTES[length]
            length = int.from_bytes(self._bytes(width), "little", signed=signed)
        if length < 0:
            raise EndOfPickle("an argument has a negative length")
        return self._bytes(length)

    def _bytes(self, count: int) -> bytes:
        if count > self._size - self.at:
            raise EndOfPickle("it is cut off")
        self.at += count
        if count > _LONGEST_TEXT:
            self._file.seek(count, 1)
            return b""
        return self._file.read(count)

    def _line(self) -> bytes:
        piece = self._piece()
        line = piece
        while not piece.endswith(b"\n") and self.at < self._size:
            piece, line = self._piece(), b""
        return line[:-1]  # even without a final line feed: pickle.py imports by such a line

    def _piece(self) -> bytes:
        piece = self._file.readline(min(_LONGEST_TEXT, self._size - self.at))
        self.at += len(piece)
        return piece
