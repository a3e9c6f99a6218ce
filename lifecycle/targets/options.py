"""Strict ``-C key=value`` options: each target declares a model, and this turns strings into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from lifecycle.errors import OptionError
from lifecycle.validation import one_line


class TargetOptions(BaseModel):
    """A target's own options. Subclass it with one described field an option.

    Values arrive as strings. Numbers and booleans (``true/1/yes/on``, ``false/0/no/off``) are parsed by the
    field's type; for a list or a mapping declare ``pydantic.Json[...]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """The options, checked.

        Raises:
            OptionError: a key is unknown, missing or has an unusable value; lists the known keys.
        """
        try:
            return cls.model_validate(dict(options))
        except ValidationError as exc:
            raise OptionError(one_line(exc, cls)) from None

    @classmethod
    def describe(cls) -> str:
        """One line an option, for the target's help."""
        return "\n".join(_describe(name, field) for name, field in cls.model_fields.items())


def _describe(name: str, field: FieldInfo) -> str:
    note = "required" if field.is_required() else f"default: {field.get_default(call_default_factory=True)}"
    return f"  -C {name}=…  {field.description or ''} ({note})"
