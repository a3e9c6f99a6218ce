"""Who asks, and what they may."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from lifecycle.serving.access import Permission

MAY: dict[str, frozenset[Permission]] = {
    "predict": frozenset({Permission.PREDICT}),
    "admin": frozenset({Permission.PREDICT, Permission.ADMIN}),
}
"""What each scope allows."""


class NotKnown(Exception):
    """Nobody who counts here. The message is one line for the client, and never quotes what was sent."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known.

    Attributes:
        name: Of the API key, or the token's subject.
        deployments: Those that they may ask; empty for all.
        until: When they stop counting, in seconds since 1970.
    """

    name: str
    may: Set[Permission]
    deployments: Set[str] = frozenset()
    until: float = float("inf")
