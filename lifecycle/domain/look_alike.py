"""Names that some database takes for one and the same.

MySQL and MariaDB compare without letter case, accents, width and the script of digits, take one letter for two
(``æ``, ``ꝏ``) and overlook some: which of it, depends on their release. SQLite and PostgreSQL do nothing of the kind.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_OVERLOOKED = "\u1cf2\u1cf3"  # and modifier letters, such as the Arabic tatweel


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
    """Without case, width, marks that can be taken off, letters that are overlooked, and spaces at the end."""
    folded = (_plain(letter) for letter in unicodedata.normalize("NFKC", text).casefold())
    return "".join(folded).rstrip(" ")


def _plain(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Lm" or letter in _OVERLOOKED:
        return ""
    if category in ("Nd", "No"):
        return str(unicodedata.digit(letter, letter))
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))


def _reached(text: str, wanted: str) -> set[int]:
    """How much of ``wanted`` the text may stand for."""
    ends = {0}
    for letter in text:
        same = {end + 1 for end in ends if wanted[end : end + 1] == letter}
        ends = same | ({end + n for end in ends for n in (1, 2)} if _is_variant(letter) else set())
    return ends


def _is_variant(letter: str) -> bool:
    """Whether it may be any one or two Latin letters, such as an ø, whose stroke cannot be taken off."""
    return not letter.isascii() and unicodedata.name(letter, "").startswith(("LATIN ", "MODIFIER LETTER "))
