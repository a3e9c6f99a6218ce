"""Which keys are trusted, and with what: one JSON file beside the server, read again whenever it changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from lifecycle.domain.canonical import from_timestamp, to_timestamp
from lifecycle.durable import write_durably
from lifecycle.errors import ConfigError, NotFound, unknown
from lifecycle.signing.keys import PublicKey

TRUST_VARIABLE = "LIFECYCLE_TRUSTED_KEYS"
"""Environment variable with the path of the file, where it isn't in the home."""


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


class TrustStore:
    """The file of trusted keys. A file that is not there trusts nobody; one that is broken is an error."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[TrustedKey, ...] = ()

    def keys(self) -> Sequence[TrustedKey]:
        """Every key, the oldest first, revoked ones too.

        Raises:
            ConfigError: the file does not parse.
        """
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._keys = self._read() if stamp else ()
            self._stamp = stamp
        return self._keys

    def find(self, kid: str) -> TrustedKey | None:
        """The key with that thumbprint."""
        return next((key for key in self.keys() if key.kid == kid), None)

    def trust(self, key: PublicKey, name: str, may: Iterable[Permission], now: datetime) -> TrustedKey:
        """Trust a key with these things and no others, from now on; also one that was revoked."""
        trusted = TrustedKey(key.kid, key.coordinate, name, frozenset(may), now)
        self._write([*(other for other in self.keys() if other.kid != key.kid), trusted])
        return trusted

    def revoke(self, who: str, now: datetime) -> TrustedKey:
        """Trust a key no more; ``who`` is its name or the beginning of its thumbprint.

        Raises:
            NotFound: no key, or more than one, is called so.
        """
        meant = [key for key in self.keys() if key.name == who or key.kid.startswith(who)]
        if len(meant) != 1:
            raise NotFound(unknown("key", who, [f"{key.name} ({key.kid[:8]})" for key in self.keys()]))
        revoked = replace(meant[0], revoked_at=now)
        self._write([revoked if key.kid == revoked.kid else key for key in self.keys()])
        return revoked

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            status = self.file.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> tuple[TrustedKey, ...]:
        try:
            return tuple(_parsed(fields) for fields in json.loads(self.file.read_text(encoding="utf-8"))["keys"])
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise ConfigError(f"{self.file}: not a file of trusted keys ({type(exc).__name__})") from exc

    def _write(self, keys: Sequence[TrustedKey]) -> None:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self.file, json.dumps({"keys": [_written(key) for key in keys]}, indent=2).encode())


def _written(key: TrustedKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "x": key.coordinate,
        "name": key.name,
        "may": sorted(key.may),
        "trusted_at": to_timestamp(key.trusted_at),
        "revoked_at": to_timestamp(key.revoked_at) if key.revoked_at else None,
    }


def _parsed(fields: dict[str, Any]) -> TrustedKey:
    key = PublicKey.from_coordinate(fields["x"])
    if key.kid != fields["kid"]:
        raise ValueError("a thumbprint is another key's")
    revoked_at = fields["revoked_at"]
    return TrustedKey(
        kid=key.kid,
        coordinate=key.coordinate,
        name=str(fields["name"]),
        may=frozenset(Permission(word) for word in fields["may"]),
        trusted_at=from_timestamp(fields["trusted_at"]),
        revoked_at=from_timestamp(revoked_at) if revoked_at else None,
    )
