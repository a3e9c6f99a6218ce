"""The unpickler's stack and memo without objects.

Texts and imported names are enough to tell what a pickle imports and calls.
"""

from __future__ import annotations

from lifecycle.gates.safety.opcodes import EndOfPickle

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
