"""The unpickler's opcodes, stack and memo, without the objects.

The opcodes are read as leniently as the unpickler reads them. ``pickletools.genops`` refuses some arguments that
the unpickler takes, such as ``I0x10``. A file that it breaks off at could still run, so only its tables are used.
Texts and imported names are all that is needed to tell what a pickle imports and calls.
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


_MOST = 4_000_000  # texts remembered, objects on the stack, marks: about 0.5 GB


class TooMuch(Exception):
    """The analysis would need too much memory."""


class Name(str):
    """An imported ``module.name``; empty if the pickle builds the name at run time."""

    __slots__ = ()


class Thing:
    """An object that is neither a text nor a name."""


LIST, SET, ANYTHING = Thing(), Thing(), Thing()
Item = str | Thing


class Memo:
    """The unpickler's memo: texts and names by number.

    ``MEMOIZE`` uses the number of entries as the next number, so entries that are not kept still count.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Item] = {}
        self._filled = 0  # all lower numbers have an entry
        self._beyond: set[int] = set()

    def put(self, number: int, item: Item) -> None:
        """Add an item. Raises TooMuch."""
        if isinstance(item, str):
            self._kept[number] = item
        else:
            self._kept.pop(number, None)
        if number >= self._filled:
            self._beyond.add(number)
        while self._filled in self._beyond:
            self._beyond.remove(self._filled)
            self._filled += 1
        if len(self._kept) + len(self._beyond) > _MOST:
            raise TooMuch

    def append(self, item: Item) -> None:
        """Store it under the next number. Raises TooMuch."""
        self.put(self._filled + len(self._beyond), item)

    def get(self, number: int) -> Item:
        """The entry. A missing entry would break the unpickler, which is not reported here."""
        return self._kept.get(number, ANYTHING)


class Stack:
    """The unpickler's stack; marks are positions in it."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._marks: list[int] = []

    def push(self, item: Item) -> None:
        """Add an item. Raises TooMuch."""
        self._items.append(item)
        if len(self._items) > _MOST:
            raise TooMuch

    def pop(self) -> Item:
        """Pop the top. Raises EndOfPickle when nothing is above the last mark."""
        item = self.top()
        self._items.pop()
        return item

    def top(self) -> Item:
        """The top. Raises EndOfPickle when nothing is above the last mark."""
        if len(self._items) <= (self._marks[-1] if self._marks else 0):
            raise EndOfPickle("it takes more from its stack than is there")
        return self._items[-1]

    def mark(self) -> None:
        """Set a mark. Raises TooMuch."""
        self._marks.append(len(self._items))
        if len(self._marks) > _MOST:
            raise TooMuch

    def to_mark(self) -> list[Item]:
        """Pop everything down to the last mark, and the mark. Raises EndOfPickle."""
        if not self._marks:
            raise EndOfPickle("it goes back to a mark that is not there")
        start = self._marks.pop()
        items = self._items[start:]
        del self._items[start:]
        return items

    def pop_or_unmark(self) -> None:
        """Pop the top item or mark. Raises EndOfPickle."""
        if self._marks and self._marks[-1] == len(self._items):
            self._marks.pop()
        else:
            self.pop()
