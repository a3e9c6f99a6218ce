"""Reads stored, signed and sent records from canonical JSON, and words validation errors without given values.

Records are plain dataclasses of the domain. Reading is strict: every field is present and has exactly its type,
none is unknown, and the text is canonical. The bytes are part of signatures and hashes, so they never change for
an existing record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from lifecycle.domain.text import canonical_json, json_types
from lifecycle.errors import unknown

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


def one_line(error: ValidationError, model: type[BaseModel], word: str = "option") -> str:
    """Every problem: the key, what is wrong, and for an unknown key the nearest known one.

    Args:
        model: The model that was validated.
        word: What a key is called in the message, such as "option".
    """
    return "; ".join(_problems(error, model, word))


def _problems(error: ValidationError, model: type[BaseModel], word: str) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        path = [str(part) for part in problem["loc"]]
        section = _section_at(model, path[:-1])
        if problem["type"] == "extra_forbidden":
            where = f"{'.'.join(path[:-1])}: " if path[:-1] else ""
            yield where + unknown(word, path[-1], section.model_fields)
            continue
        said = problem["msg"].removeprefix("Value error, ").removesuffix(".")
        if problem["type"] == "missing":
            said = f"it is required. Known: {', '.join(sorted(section.model_fields))}"
        said = said[:1].lower() + said[1:]
        yield f"{word} '{'.'.join(path)}': {said}" if path else said


def _section_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """The model of the section at ``path``. Parts that the user named, such as a stage, are skipped."""
    section = model
    for part in path:
        if part in section.model_fields:
            section = _model_in(section.model_fields[part].annotation) or section
    return section


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside ``X``, ``X | None``, ``dict[str, X]`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(argument) for argument in get_args(annotation))
    return next((found for found in inner if found is not None), None)
