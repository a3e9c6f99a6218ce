"""What is wrong with some options, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from lifecycle.errors import ConfigError, unknown

Model = TypeVar("Model", bound=BaseModel)


def parse_options(kind: str, name: str, model: type[Model], values: Mapping[str, Any]) -> Model:
    """Validate options against their model.

    Args:
        kind: What the options are for, such as ``gate``.
        name: Which one.
        model: Its options model.
        values: As written in the policy.

    Raises:
        ConfigError: names the gate, every bad key, and the nearest known key of an unknown one.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as exc:
        raise ConfigError(f"{kind} {name!r}: {one_line(exc, model)}") from exc


def one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """Everything that a validation found, without the values that it was given."""
    return "; ".join(_problem(e["type"], e["loc"], e["msg"], model) for e in error.errors(include_input=False))


def _problem(type_: str, loc: tuple[int | str, ...], message: str, model: type[BaseModel]) -> str:
    key = ".".join(map(str, loc))
    if type_ == "extra_forbidden":
        return unknown("option", key, model.model_fields)
    words = message.removeprefix("Value error, ")
    words = words[:1].lower() + words[1:]
    return f"option {key!r}: {words}" if key else words
