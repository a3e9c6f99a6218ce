"""Who may ask for what."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from lifecycle.serving.message import Request


class Permission(StrEnum):
    """What a route demands of whoever calls it. Every route names one."""

    NONE = "none"
    """For probes: answered to anybody, and says nothing about the model."""
    PREDICT = "predict"
    ADMIN = "admin"


class Access(Protocol):
    """The door."""

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Set ``request.caller``, or turn the request away. Called before the body is read; never blocks.

        Args:
            model: The deployment that the path names; None for the server's own.

        Raises:
            Refusal: 401 nobody known, 403 not allowed, 429 too many failures from there, 503 nobody can tell yet.
        """
        ...


class OpenAccess:
    """Everybody may do everything: for a loopback address, or where somebody else guards the door."""

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Let it in."""
