"""Permissions of routes, and the check of a caller."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from lifecycle.serving.message import Request


class Permission(StrEnum):
    """What a caller needs to use a route. Every route names one."""

    NONE = "none"
    """For probes: open to all callers, and says nothing about the model."""
    PREDICT = "predict"
    ADMIN = "admin"


class Access(Protocol):
    """Checks callers."""

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Set ``request.caller``, or refuse the request. Called before the body is read; never blocks.

        Args:
            model: Deployment that the path names; None for the server's own.

        Raises:
            Refusal: 401 unknown caller, 403 not allowed, 429 too many failures, 503 not known yet.
        """
        ...


class OpenAccess:
    """All callers may do everything: on a loopback address, or behind another access control."""

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Accept the request."""
