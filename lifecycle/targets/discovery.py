"""Finds targets by name in the entry-point group ``lifecycle.targets``."""

from __future__ import annotations

from lifecycle.entry_points import PlugIns
from lifecycle.targets.contract import Target, TargetContext, TargetOptions

_METHODS = ("deploy", "describe", "undeploy", "list", "predict")


def load_target(name: str, context: TargetContext) -> Target:
    """Import and construct a target.

    Raises:
        NotFound, Conflict, Unavailable, UsageError: as :meth:`lifecycle.entry_points.PlugIns.load`.
    """
    target: Target = TARGETS.load(name)(context)
    return target


def _problem_of(_name: str, loaded: object) -> str | None:
    if not isinstance(loaded, type):
        return "is not a class"
    options = getattr(loaded, "Options", None)
    if not (isinstance(options, type) and issubclass(options, TargetOptions)):
        return "has no class Options that derives from TargetOptions"
    lacking = [method for method in _METHODS if not callable(getattr(loaded, method, None))]
    return f"has no method {lacking[0]}" if lacking else None


TARGETS = PlugIns("lifecycle.targets", "target", _problem_of)
