"""Canonical JSON and timestamps, so that equal values have equal digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces and no NaN: the same value always gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def json_types(value: Any) -> Any:
    """A record of ours in JSON's types: fields by name, times as text.

    A field's metadata may say that it is not ``stored``, or to how many ``digits`` it is rounded.
    """
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
    """The inverse of :func:`to_timestamp`.

    Raises:
        ValueError: the text is not such a timestamp.
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
