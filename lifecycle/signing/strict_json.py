"""JSON that every parser reads the same way: UTF-8 and no key twice in one object."""

from __future__ import annotations

import json
from typing import Any


def strict_json(text: bytes) -> Any:
    """Parse UTF-8 JSON; an object with a repeated key is an error.

    Raises:
        ValueError: not UTF-8, not JSON, a repeated key, or nested too deep.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_without_repeated_keys)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("an object has the same key twice")
    return fields
