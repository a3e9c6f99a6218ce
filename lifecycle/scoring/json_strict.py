"""What JSON parsers let pass and a server must not: keys that are there twice, and shapes made to exhaust it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from lifecycle.scoring.invalid import Malformed

_DEEPEST = 64
_SMALL = 2**18
_FEW = 4096
_CONTAINERS = 500_000
"""Lists and objects in one body. Each takes 60 to 200 bytes, whatever it takes in the body."""
_KEYS = 10_000
"""Keys of one object, on average."""


def parse(body: bytes) -> Any:
    """The body's JSON.

    Raises:
        Malformed: it is none (NaN, infinity and numbers that no double holds are none), or would take too much.
    """
    if len(body) > _SMALL:
        _demand_modest(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        # Where, and not what: the parser's words never quote the body.
        raise Malformed(
            "Invalid input. Ensure that input is a valid JSON formatted string. "
            f"Error: {exc.msg} at line {exc.lineno}, column {exc.colno}"
        ) from None


def demand_unique_keys(body: bytes, content: Any, known: Sequence[dict[str, Any]]) -> None:
    """Refuse an object that has a key twice, of which the parser keeps the last.

    Every key has its colon, so there are as many colons outside texts as keys.

    Args:
        known: The objects that the content is expected to be made of; a cheap guess, if it is right.

    Raises:
        Malformed: a key is there twice, or objects and lists are nested too deeply.
    """
    braces, colons, _ = _census(body)
    if braces == len(known) and colons == sum(map(len, known)):
        return
    if _without_texts(body).count(b":") != _count_keys(content, 0):
        raise Malformed("Invalid input. An object has the same key twice.")


def _demand_modest(body: bytes) -> None:
    braces, colons, brackets = _census(body)
    if braces + brackets > _CONTAINERS:
        raise Malformed(
            f"Invalid input. The body has more than {_CONTAINERS:,} lists and objects; send fewer rows."
        )
    if colons > max(10 * _KEYS, _KEYS * braces):
        raise Malformed(f"Invalid input. An object has more than {_KEYS:,} keys.")


def _census(body: bytes) -> tuple[int, int, int]:
    """How many opening braces, colons and opening brackets there are, in texts or not."""
    if len(body) < _FEW:
        return body.count(b"{"), body.count(b":"), body.count(b"[")
    # For many hits numpy is five times faster.
    characters = np.frombuffer(body, np.uint8)
    braces, colons, brackets = (int(np.count_nonzero(characters == ord(sign))) for sign in "{:[")
    return braces, colons, brackets


def _without_texts(body: bytes) -> bytes:
    if b"\\" in body:  # first what is escaped, so that each quote that remains opens or closes a text
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(body.split(b'"')[::2])


def _count_keys(content: Any, depth: int) -> int:
    if depth > _DEEPEST:
        raise Malformed(f"Invalid input. The body is nested more than {_DEEPEST} deep.")
    own, values = (len(content), content.values()) if isinstance(content, dict) else (0, content)
    return own + sum(_count_keys(value, depth + 1) for value in values if isinstance(value, dict | list))
