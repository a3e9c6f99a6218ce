"""Plug-ins by name, from an entry-point group that built-in and third-party ones share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from lifecycle.errors import Conflict, NotFound, Unavailable, UsageError, unknown


@dataclass(frozen=True, slots=True)
class PlugIns:
    """The plug-ins of one kind. Each is imported when it is first asked for by name, and then checked.

    Attributes:
        group: The entry-point group, such as ``lifecycle.gates``.
        kind: The word for one of them, such as "gate".
        problem_of: What is wrong with the object that is registered under a name, as a phrase that follows the
            object; None when it is well-formed.
    """

    group: str
    kind: str
    problem_of: Callable[[str, Any], str | None]

    def names(self) -> tuple[str, ...]:
        """Every plug-in that is installed, sorted. Imports none of them."""
        return tuple(sorted(_installed(self.group, tuple(sys.path)).names))

    def load(self, name: str) -> Any:
        """Import a plug-in.

        Raises:
            NotFound: there is none of this name.
            Conflict: two packages give different plug-ins the same name.
            Unavailable: it cannot be imported; the message says what to install.
            UsageError: what the package registers is not of the right shape.
        """
        # A package that is found twice on the path registers one object twice, which is no conflict.
        found = self._found(name)
        if not found:  # perhaps it was installed a moment ago
            _installed.cache_clear()
            found = self._found(name)
        if not found:
            raise NotFound(unknown(self.kind, name, self.names()))
        if len(found) > 1:
            raise Conflict(
                f"{self.kind} {name!r} is registered twice: {', '.join(sorted(found))}; uninstall one of the "
                f"packages. {self._known()}"
            )
        (entry,) = found.values()
        try:
            loaded = entry.load()
        except (ImportError, AttributeError) as exc:
            raise Unavailable(
                f"{self.kind} {name!r} cannot be imported ({exc}); run: pip install {_to_install(entry)}. "
                f"{self._known()}"
            ) from exc
        if problem := self.problem_of(name, loaded):
            raise UsageError(
                f"{self.kind} {name!r} cannot be used: {entry.value} {problem}. Correct it, or uninstall the "
                f"package {_package_of(entry)}. {self._known()}"
            )
        return loaded

    def _found(self, name: str) -> dict[str, EntryPoint]:
        return {entry.value: entry for entry in _installed(self.group, tuple(sys.path)).select(name=name)}

    def _known(self) -> str:
        return f"Known: {', '.join(self.names())}"


@lru_cache
def _installed(group: str, _path: tuple[str, ...]) -> EntryPoints:
    """What the packages on the path register; looking through hundreds of them takes 20 ms each time."""
    return entry_points(group=group)


def _to_install(entry: EntryPoint) -> str:
    """What to give to pip: the package with the extras that the entry point needs, else the package anew."""
    if entry.extras:
        return f"'{_package_of(entry)}[{','.join(entry.extras)}]'"
    return f"--force-reinstall {_package_of(entry)}"


def _package_of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module.partition(".")[0]
