"""The caller of a request and its permissions."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from lifecycle.serving.access import Permission

MAY: dict[str, frozenset[Permission]] = {
    "predict": frozenset({Permission.PREDICT}),
    "admin": frozenset({Permission.PREDICT, Permission.ADMIN}),
}
"""Permissions by scope."""


class NotKnown(Exception):
    """The caller is not known. The message is one line for the client and never quotes what was sent."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller.

    Attributes:
        name: Name of the API key, or the token's subject.
        deployments: Deployments that the caller may use; empty for all.
        until: End of validity, in seconds since 1970.
    """

    name: str
    may: Set[Permission]
    deployments: Set[str] = frozenset()
    until: float = float("inf")
