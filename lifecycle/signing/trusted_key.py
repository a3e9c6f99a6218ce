"""A key that a registry knows: what people call it, what it may sign, since when, and whether it still counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.canonical import from_timestamp, to_timestamp
from lifecycle.errors import ConfigError, UsageError
from lifecycle.signing.keys import PublicKey

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")  # shorter than a thumbprint, so never taken for one
_FIELDS = {"kid", "x", "name", "may", "trusted_at", "revoked_at"}


class Permission(StrEnum):
    """What a key may sign."""

    EVIDENCE = "evidence"
    """The verdicts of gate runs."""
    OVERRIDE = "override"
    """A promotion without gates, for a limited time."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key that the guard knows.

    Attributes:
        kid, coordinate: See :class:`lifecycle.signing.keys.PublicKey`.
        name: What people call it, such as ``ci``.
        may: What it may sign.
        trusted_at, revoked_at: UTC. What a revoked key has signed counts no more, whenever it was signed.
    """

    kid: str
    coordinate: str
    name: str
    may: frozenset[Permission]
    trusted_at: datetime
    revoked_at: datetime | None = None

    def permits(self, permission: Permission) -> bool:
        """Whether it may sign such a thing."""
        return self.revoked_at is None and permission in self.may

    def as_fields(self) -> dict[str, Any]:
        """As the file of trusted keys holds it."""
        return {
            "kid": self.kid,
            "x": self.coordinate,
            "name": self.name,
            "may": sorted(self.may),
            "trusted_at": to_timestamp(self.trusted_at),
            "revoked_at": to_timestamp(self.revoked_at) if self.revoked_at else None,
        }

    @classmethod
    def from_fields(cls, fields: Any) -> TrustedKey:
        """The inverse of :meth:`as_fields`.

        A field that this release does not know may be a limit that it would not keep, so it is an error too.

        Raises:
            ValueError: they are something else.
        """
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise ValueError(f"it has the fields {', '.join(sorted(_FIELDS))} and no others")
        try:
            key = PublicKey.from_coordinate(fields["x"])
            if key.kid != fields["kid"]:
                raise ValueError("its thumbprint is another key's")
            return cls(
                kid=key.kid,
                coordinate=key.coordinate,
                name=check_key_name(fields["name"]),
                may=_permissions(fields["may"]),
                trusted_at=from_timestamp(fields["trusted_at"]),
                revoked_at=None if fields["revoked_at"] is None else from_timestamp(fields["revoked_at"]),
            )
        except (ConfigError, UsageError, TypeError) as exc:
            raise ValueError(str(exc)) from exc


def check_key_name(name: object) -> str:
    """What people may call a key. Raises UsageError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            "a key needs a name: 1 to 40 letters, digits and . _ @ -, the first no sign, such as --name ci"
        )
    return name


def _permissions(words: Any) -> frozenset[Permission]:
    if not isinstance(words, list):
        raise TypeError("may is a list")
    return frozenset(Permission(word) for word in words)
