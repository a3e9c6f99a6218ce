"""Which names a database may find equal to a guarded one.

What is guarded is ASCII: reserved tags and the aliases of stages. A collation such as MySQL's compares without
letter case, accents, width and spaces at the end. So a name is refused that equals a guarded one once these are
gone. Other Latin letters, digits and marks that are not ASCII may each stand for up to two letters, whichever.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

_OVERLOOKED = "\u00b7\u1cf2\u1cf3"


def may_be_equal(name: str, guarded: str) -> bool:
    """Whether a database may find ``name`` where ``guarded`` is asked for."""
    wanted = guarded.casefold()
    return len(wanted) in [{0}, *_reached(name.rstrip(" "), wanted)][-1]


def may_start_with(name: str, guarded: str) -> bool:
    """Whether a database may find that ``name`` starts with ``guarded``."""
    wanted = guarded.casefold()
    return any(len(wanted) in ends for ends in _reached(name, wanted))


def _reached(name: str, wanted: str) -> Iterator[set[int]]:
    """After each letter of the name: how many letters of ``wanted`` it may stand for so far."""
    ends = {0}
    for letter, is_any in _letters(name):
        if is_any:
            ends |= {end + n for end in ends for n in (1, 2) if wanted[end : end + n].isalnum()}
        else:
            ends = {end + 1 for end in ends if wanted[end : end + 1] == letter}
        yield {end for end in ends if end <= len(wanted)}


def _letters(name: str) -> Iterator[tuple[str, bool]]:
    """The letters without case, accents and width, each with whether it may stand for any."""
    for character in name.lower():
        plain = unicodedata.normalize("NFKD", character)
        plain = "".join(part for part in plain if not unicodedata.combining(part)).lower()
        if (plain.isascii() and not plain.startswith(" ")) or character == " ":
            yield from ((letter, False) for letter in plain)
        else:
            yield character, plain.startswith(" ") or _is_vague(character)


def _is_vague(character: str) -> bool:
    """Latin letters whose strokes cannot be taken off, digits of any script, and what collations overlook."""
    category = unicodedata.category(character)
    latin = unicodedata.name(character, "").startswith("LATIN ")
    return latin or category in ("Lm", "Cf") or category.startswith("N") or character in _OVERLOOKED
