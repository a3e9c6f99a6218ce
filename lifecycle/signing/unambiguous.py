"""JSON that means the same to every reader."""

from __future__ import annotations

import json
from typing import Any


def unambiguous_json(text: bytes) -> Any:
    """Parse UTF-8 JSON in which no object has a key twice.

    Raises:
        ValueError: it is something else, or nested too deep.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands there twice")
    return fields
