"""The unpickler's stack and memo, with the objects left out.

Texts and imported names are all that it takes to tell what a pickle imports and calls.
"""

from __future__ import annotations

from lifecycle.gates.safety.opcodes import EndOfPickle

_MOST = 4_000_000  # texts remembered, objects on the stack, marks: about 0.5 GB


class TooMuch(Exception):
    """More objects than fit into memory."""


class Name(str):
    """Something imported: ``module.name``, or empty when the pickle puts the name together as it goes."""

    __slots__ = ()


class Thing:
    """An object that is neither a text nor a name."""


LIST, SET, ANYTHING = Thing(), Thing(), Thing()
Item = str | Thing


class Memo:
    """The texts and names that the unpickler remembers, by number.

    ``MEMOIZE`` takes the count of entries for the next number, so entries that are not kept still count.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Item] = {}
        self._filled = 0  # every number below has an entry
        self._beyond: set[int] = set()

    def put(self, number: int, item: Item) -> None:
        """Raises TooMuch."""
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
        """Put it under the next number. Raises TooMuch."""
        self.put(self._filled + len(self._beyond), item)

    def get(self, number: int) -> Item:
        """What is there. A number without an entry breaks the unpickler, which is not told here."""
        return self._kept.get(number, ANYTHING)


class Stack:
    """The unpickler's stack, in which marks are places."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._marks: list[int] = []

    def push(self, item: Item) -> None:
        """Raises TooMuch."""
        self._items.append(item)
        if len(self._items) > _MOST:
            raise TooMuch

    def pop(self) -> Item:
        """Take the top. Raises EndOfPickle when nothing is above the last mark."""
        item = self.top()
        self._items.pop()
        return item

    def top(self) -> Item:
        """Look at the top. Raises EndOfPickle when nothing is above the last mark."""
        if len(self._items) <= (self._marks[-1] if self._marks else 0):
            raise EndOfPickle("it takes more from its stack than is there")
        return self._items[-1]

    def mark(self) -> None:
        """Remember this place. Raises TooMuch."""
        self._marks.append(len(self._items))
        if len(self._marks) > _MOST:
            raise TooMuch

    def to_mark(self) -> list[Item]:
        """What was pushed since the last mark; both are gone. Raises EndOfPickle."""
        if not self._marks:
            raise EndOfPickle("it goes back to a mark that is not there")
        start = self._marks.pop()
        items = self._items[start:]
        del self._items[start:]
        return items

    def pop_or_unmark(self) -> None:
        """Take the top, or the mark that stands there. Raises EndOfPickle."""
        if self._marks and self._marks[-1] == len(self._items):
            self._marks.pop()
        else:
            self.pop()
