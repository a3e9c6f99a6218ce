"""Names that some database takes for one and the same.

MySQL and MariaDB compare without letter case, accents, width and the script of digits, take one letter for two
(``æ``, ``ꝏ``) and overlook some; which of it, depends on their release. SQLite and PostgreSQL do none of this.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

_PAIRS = str.maketrans({"æ": "ae", "œ": "oe"})
_OVERLOOKED = "\u00b7\u1cf2\u1cf3"


def alike(one: str, other: str) -> bool:
    """Whether a database may find ``one`` where ``other`` is asked for."""
    return _stands_for(one, other) or _stands_for(other, one)


def starts_alike(text: str, prefix: str) -> bool:
    """Whether a database may think that ``text`` starts with ``prefix``."""
    wanted = _folded(prefix)
    return any(len(wanted) in reached for reached in _reached(_folded(text), wanted))


def _stands_for(text: str, other: str) -> bool:
    wanted = _folded(other)
    return len(wanted) in [{0}, *_reached(_folded(text), wanted)][-1]


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """Without case, width, marks (on letters, or with nothing to stand on), and spaces at the end."""
    letters = (letter for letter in text if letter == " " or unicodedata.normalize("NFKD", letter)[0] != " ")
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", "".join(letters)).lower())
    return "".join(part for part in parts if not unicodedata.combining(part)).translate(_PAIRS).rstrip(" ")


def _reached(text: str, wanted: str) -> Iterator[set[int]]:
    """After each letter of the text: how much of ``wanted`` it may stand for so far."""
    ends = {0}
    for letter in text:
        same = {end + 1 for end in ends if wanted[end : end + 1] == letter}
        any_that = {(end, end + n) for end in ends for n in _lengths(letter)}
        ends = same | {stop for start, stop in any_that if start == stop or wanted[start:stop].isalnum()}
        yield {end for end in ends if end <= len(wanted)}


@lru_cache(maxsize=4096)
def _lengths(letter: str) -> tuple[int, ...]:
    """How many letters or digits it may stand for, whichever they are, besides itself."""
    if letter.isascii():
        return ()
    category = unicodedata.category(letter)
    if category == "Lm" or letter in _OVERLOOKED:  # such as the Arabic tatweel
        return (0, 1, 2)
    latin = unicodedata.name(letter, "").startswith("LATIN ")  # such as an ø, whose stroke cannot be taken off
    return (1, 2) if latin or category.startswith("N") else ()
