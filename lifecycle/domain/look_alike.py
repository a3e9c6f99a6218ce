"""Names that some database takes for one and the same: MySQL compares without letter case, accents and width."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_PAIRS = str.maketrans({"æ": "ae", "œ": "oe"})


def alike(one: str, other: str) -> bool:
    """Whether a database may find ``one`` where ``other`` is asked for."""
    folded, wanted = _folded(one), _folded(other)
    return len(folded) == len(wanted) and all(map(_same, folded, wanted))


def starts_alike(text: str, prefix: str) -> bool:
    """Whether a database may think that ``text`` starts with ``prefix``."""
    folded, wanted = _folded(text), _folded(prefix)
    return len(folded) >= len(wanted) and all(map(_same, folded, wanted))


@lru_cache(maxsize=4096)
def _folded(text: str) -> str:
    """Without case, width, marks that can be taken off, and spaces at the end."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)).translate(_PAIRS).rstrip(" ")


def _same(one: str, other: str) -> bool:
    return one == other or _is_variant(one) or _is_variant(other)


def _is_variant(letter: str) -> bool:
    """Whether it may be any Latin letter with something that cannot be taken off, such as the stroke of an ø."""
    return not letter.isascii() and unicodedata.name(letter, "").startswith("LATIN ")
