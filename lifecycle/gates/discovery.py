"""Finds gates by name in the entry-point group ``lifecycle.gates``, and validates them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from pydantic import ValidationError

from lifecycle.codec import one_line
from lifecycle.domain.policy import GateSpec
from lifecycle.entry_points import PlugIns
from lifecycle.errors import ConfigError
from lifecycle.gates.contract import Gate, GateOptions


def load_gate(spec: GateSpec) -> Gate:
    """The gate that a policy names, with its options.

    Raises:
        NotFound, Conflict, Unavailable, UsageError: as :meth:`lifecycle.entry_points.PlugIns.load`.
        ConfigError: the options are wrong.
    """
    cls = gate_class(spec.name)
    try:
        options: GateOptions = cls.Options.model_validate(dict(spec.options))
    except ValidationError as exc:
        raise ConfigError(f"gate {spec.name!r}: {one_line(exc, cls.Options)}") from exc
    return cls(options)  # type: ignore[call-arg]  # a Protocol has no constructor of its own


def gate_class(name: str) -> type[Gate]:
    """The class of the gate called ``name``. Raises as :meth:`lifecycle.entry_points.PlugIns.load`."""
    loaded: type[Gate] = GATES.load(name)
    return loaded


def _problem_of(name: str, loaded: object) -> str | None:
    return next(_problems(name, loaded), None)


def _problems(name: str, loaded: object) -> Iterator[str]:
    if not isinstance(loaded, type):
        yield "is not a class"
        return
    own_name, options = getattr(loaded, "name", None), getattr(loaded, "Options", None)
    if own_name != name:  # verdicts are matched with the policy by name, so its verdict would never count
        yield f"has the name {own_name!r}; it must be {name!r}, like its entry point"
    if not (isinstance(options, type) and issubclass(options, GateOptions)):
        yield "has no class Options that derives from GateOptions"
    if not _takes(loaded, 1):
        yield "cannot be constructed with its options alone"
    if not _takes(getattr(loaded, "evaluate", None), 2):
        yield "has no method evaluate(subject)"
    if hasattr(loaded, "explain") and not _takes(loaded.explain, 3):
        yield "has a method explain that does not take (subject, verdict)"
    if not isinstance(getattr(loaded, "before_loading", False), bool):
        yield "has a before_loading that is neither True nor False"


def _takes(function: object, arguments: int) -> bool:
    """Whether a function accepts so many positional arguments, ``self`` included."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # implemented in C, without a signature
        return True
    return True


GATES = PlugIns("lifecycle.gates", "gate", _problem_of)
