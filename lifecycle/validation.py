"""Pydantic's validation errors as one line, without the values that were given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lifecycle.errors import unknown


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
