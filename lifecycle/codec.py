"""Reads stored, signed and sent records from canonical JSON.

Records are plain dataclasses of the domain. Reading is strict: every field is present and has exactly its type,
none is unknown, and the text is canonical. The bytes are part of signatures and hashes, so they never change for
an existing record.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lifecycle.domain.text import canonical_json, json_types

_Record = TypeVar("_Record")
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}  # each takes milliseconds to build


def decode(kind: type[_Record], text: str) -> _Record:
    """Read a record from its canonical JSON.

    Raises:
        ValueError: the text is not such a record, or not canonical. Names fields, never their values.
    """
    name = kind.__name__
    try:
        record = _adapter(kind).validate_json(text, strict=True)
        canonical = canonical_json(json_types(record))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "text"
        raise ValueError(f"not a record of {name}: {where}: {first['type']}") from None
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:  # such as NaN, or a year 0
        raise ValueError(f"not a record of {name}: {type(exc).__name__}") from None
    if canonical != text:
        raise ValueError(f"not a record of {name} in canonical JSON")
    return record


def _adapter(kind: type[_Record]) -> TypeAdapter[_Record]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
