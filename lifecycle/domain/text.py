"""Text of records and for display: canonical JSON, timestamps, sanitizing, and names that collate equal.

Canonical JSON gives equal values equal bytes, and so equal digests. Untrusted text, such as names of columns and
models, is sanitized before it is shown.

Guarded names are ASCII: reserved tags and the aliases of stages. A collation such as MySQL's compares without
letter case, accents, width and spaces at the end. So a name is refused that equals a guarded one once these are
gone. Other Latin letters, digits and marks that are not ASCII may each stand for up to two letters.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

_PLAIN = {str, int, float, bool, type(None)}


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: the same value always gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def json_types(value: Any) -> Any:
    """A record of ours in JSON's types: fields by name, times as text.

    A field's metadata may say that it is not ``stored``, or to how many ``digits`` it is rounded.
    """
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value):
        stored = (f for f in fields(value) if f.metadata.get("stored", True))
        return {f.name: _rounded(getattr(value, f.name), f.metadata.get("digits")) for f in stored}
    if isinstance(value, datetime):
        return to_timestamp(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: json_types(item) for key, item in value.items()}
    return [json_types(item) for item in value] if isinstance(value, list | tuple) else value


def _rounded(value: Any, digits: int | None) -> Any:
    return json_types(value) if digits is None else round(value, digits)


def sha256_of(value: Any) -> str:
    """Hex sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def to_timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds, which also sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_timestamp(text: str) -> datetime:
    """The inverse of :func:`to_timestamp`. Raises ValueError if the text is not such a timestamp."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # parts of words in Persian and Hindi
_MARKDOWN = re.compile(r"([\\`*_\[\]|~])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "&#64;", "#": "&#35;"}
_LINK = re.compile(r"://|\bwww\.", re.IGNORECASE)


def printable(text: str, limit: int | None = None) -> str:
    r"""One line without control characters, changes of writing direction, and characters that break XML.

    Args:
        limit: Characters to keep; a longer text ends with an ellipsis.

    >>> printable("a\n\x1b[31mb", limit=4)
    'a �…'
    """
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() or c in _JOINERS else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def markdown_text(text: str, limit: int | None = None) -> str:
    r"""A line that Markdown shows literally: no markup, HTML, formula, mention, link or end of a cell.

    Holds for GitHub's and GitLab's Markdown and for the renderer of MLflow's pages, which knows no
    backslash before ``<``: hence the entities.

    >>> markdown_text("<b> a|b @me")
    '&lt;b&gt; a\\|b &#64;me'
    """
    line = "".join(_ENTITIES.get(c, c) for c in printable(text, limit))
    line = _LINK.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;"), line)
    return _MARKDOWN.sub(r"\\\1", line)


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
