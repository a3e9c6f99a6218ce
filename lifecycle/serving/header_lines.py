"""Header lines, validated once and cached, as most answers have the same ones."""

from __future__ import annotations

import re
from functools import lru_cache

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*").fullmatch


@lru_cache(maxsize=4096)
def line_of(header: tuple[bytes, bytes]) -> bytes:
    """A header as ``name: value`` with its line end.

    Grammar: https://www.rfc-editor.org/rfc/rfc9110#section-5

    Raises:
        ValueError: a character could start another header.
    """
    name, value = header
    if not _NAME(name) or not _VALUE(value):
        raise ValueError("a header of an answer has a character that is not allowed")
    return b"%b: %b\r\n" % (name, value)
