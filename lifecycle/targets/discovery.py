"""Targets by name, from the entry-point group that built-in and third-party targets share."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from lifecycle.errors import Conflict, NotFound, Unavailable, unknown
from lifecycle.targets.contract import Target

GROUP = "lifecycle.targets"


def known_targets() -> list[str]:
    """The names of every installed target, sorted. Imports none of them."""
    return sorted(entry_points(group=GROUP).names)


def load_target(name: str, home: Path) -> Target:
    """Import and construct a target.

    Args:
        home: The folder that targets keep their state in.

    Raises:
        NotFound: no such target; lists the known ones.
        Conflict: two packages give different targets the same name.
        Unavailable: it cannot be imported; the message says what to install.
    """
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if not found:
        raise NotFound(unknown("target", name, known_targets()))
    if len(found) > 1:
        raise Conflict(f"target {name!r} is defined more than once: {', '.join(sorted(found))}; uninstall one")
    (entry,) = found.values()
    try:
        target: Target = entry.load()(home)
    except (ImportError, AttributeError) as exc:
        raise Unavailable(_install_hint(entry, exc)) from exc
    return target


def _install_hint(entry: EntryPoint, exc: Exception) -> str:
    package = entry.dist.name if entry.dist else entry.module.partition(".")[0]
    return f"target {entry.name!r} cannot be loaded ({exc}); run: pip install --upgrade {package}"
