"""Names that some database takes for one and the same.

MySQL and MariaDB compare without letter case, accents, width and the script of digits, take one letter for two
(``æ``, ``ꝏ``) and overlook some; which of it, depends on their release. SQLite and PostgreSQL do none of this.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_PAIRS = str.maketrans({"æ": "ae", "œ": "oe"})
_OVERLOOKED = "\u00b7\u1cf2\u1cf3"


def alike(one: str, other: str) -> bool:
    """Whether a database may find ``one`` where ``other`` is asked for."""
    folded, wanted = _folded(one), _folded(other)
    return folded == wanted or len(wanted) in _reached(folded, wanted) or len(folded) in _reached(wanted, folded)


def starts_alike(text: str, prefix: str) -> bool:
    """Whether a database may think that ``text`` starts with ``prefix``."""
    folded, wanted = _folded(text), _folded(prefix)
    return any(len(wanted) in _reached(folded[:end], wanted) for end in range(2 * len(wanted) + 1))


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """Without case, width, marks (on letters, or with nothing to stand on), and spaces at the end."""
    letters = (letter for letter in text if letter == " " or unicodedata.normalize("NFKD", letter)[0] != " ")
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", "".join(letters)).lower())
    return "".join(part for part in parts if not unicodedata.combining(part)).translate(_PAIRS).rstrip(" ")


def _reached(text: str, wanted: str) -> set[int]:
    """How much of ``wanted`` the text may stand for."""
    ends = {0}
    for letter in text:
        same = {end + 1 for end in ends if wanted[end : end + 1] == letter}
        ends = same | {
            end + n for end in ends for n in _lengths(letter) if not n or wanted[end : end + n].isalnum()
        }
    return ends


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
