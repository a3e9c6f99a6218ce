"""Gates by name, from the entry-point group ``lifecycle.gates``; the built-in ones use it too."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from pydantic import ValidationError

from lifecycle.domain.policy import GateSpec
from lifecycle.errors import ConfigError, UsageError, unknown
from lifecycle.gates.contract import Gate, GateOptions
from lifecycle.validation import one_line

GROUP = "lifecycle.gates"


def gate_names() -> tuple[str, ...]:
    """Every gate that is installed, sorted. Imports none of them."""
    return tuple(sorted({e.name for e in entry_points(group=GROUP)}))


def gate_class(name: str) -> type[Gate]:
    """Import the gate called ``name``.

    Raises:
        ConfigError: there is no such gate, or two packages claim the name.
        UsageError: it cannot be imported; the message says which package brings it.
    """
    # A package that is found twice on the path is one claim; two different objects are two.
    claims = {e.value: e for e in entry_points(group=GROUP, name=name)}
    if not claims:
        raise ConfigError(unknown("gate", name, gate_names()))
    if len(claims) > 1:
        raise ConfigError(f"gate {name!r} is claimed twice: {', '.join(sorted(claims))}; uninstall one of them")
    return _load(*claims.values())


def load_gate(spec: GateSpec) -> Gate:
    """The gate of a policy's line, with its options.

    Raises:
        ConfigError: as :func:`gate_class`, or the options are wrong.
        UsageError: as :func:`gate_class`.
    """
    cls = gate_class(spec.name)
    try:
        options: GateOptions = cls.Options.model_validate(dict(spec.options))
    except ValidationError as exc:
        raise ConfigError(f"gate {spec.name!r}: {one_line(exc, cls.Options)}") from exc
    return cls(options)  # type: ignore[call-arg]  # a Protocol has no constructor of its own


def _load(entry: EntryPoint) -> type[Gate]:
    try:
        loaded: type[Gate] = entry.load()
    except (ImportError, AttributeError) as exc:
        package = entry.dist.name if entry.dist else entry.module
        raise UsageError(
            f"gate {entry.name!r} cannot be imported: {exc}. Reinstall it: pip install --force-reinstall {package}"
        ) from exc
    return loaded
