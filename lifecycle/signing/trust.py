"""Trusted keys: one JSON file beside the server; a change to it takes effect at the next read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import chain, count
from pathlib import Path
from typing import Any

from lifecycle.domain.text import from_timestamp, to_timestamp
from lifecycle.errors import ConfigError, Conflict, NotFound, UsageError, unknown
from lifecycle.signing.files import TooOpenError, locked, read_protected, strict_json, write_protected
from lifecycle.signing.keys import PublicKey

TRUST_VARIABLE = "LIFECYCLE_TRUSTED_KEYS"
"""Environment variable with the path of the file of trusted keys, when it is not in the home."""

_WRITABLE_BY_OTHERS = 0o022
_MIN_THUMBPRINT_CHARS = 8
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")  # shorter than a thumbprint, so never mistaken for one
_FIELDS = {"kid", "x", "name", "may", "trusted_at", "revoked_at"}


class Permission(StrEnum):
    """What a trusted key may sign."""

    EVIDENCE = "evidence"
    """The verdicts of gate runs."""
    OVERRIDE = "override"
    """A promotion without gates, for a limited time."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """An entry of the file of trusted keys.

    Attributes:
        kid: JWK thumbprint (RFC 7638), 43 characters.
        coordinate: The public key, 43 characters of base64url.
        name: Readable name, such as ``ci``.
        may: What it may sign.
        trusted_at, revoked_at: UTC. Nothing that a revoked key has signed is accepted, whenever it was signed.
    """

    kid: str
    coordinate: str
    name: str
    may: frozenset[Permission]
    trusted_at: datetime
    revoked_at: datetime | None = None

    def permits(self, permission: Permission) -> bool:
        """Whether the key is not revoked and may sign this kind of text."""
        return self.revoked_at is None and permission in self.may

    def as_fields(self) -> dict[str, Any]:
        """The JSON fields of the file of trusted keys."""
        return {
            "kid": self.kid,
            "x": self.coordinate,
            "name": self.name,
            "may": sorted(self.may),
            "trusted_at": to_timestamp(self.trusted_at),
            "revoked_at": self.revoked_at and to_timestamp(self.revoked_at),
        }

    @classmethod
    def from_fields(cls, fields: Any) -> TrustedKey:
        """The inverse of :meth:`as_fields`.

        An unknown field is an error too: it may be a restriction that this release would not enforce.

        Raises:
            ValueError: the fields are not those of a trusted key.
        """
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise ValueError(f"it has the fields {', '.join(sorted(_FIELDS))} and no others")
        try:
            if not isinstance(fields["may"], list):
                raise TypeError("may is a list")
            key = PublicKey.from_coordinate(fields["x"])
            if key.kid != fields["kid"]:
                raise ValueError("its thumbprint is another key's")
            return cls(
                kid=key.kid,
                coordinate=key.coordinate,
                name=check_key_name(fields["name"]),
                may=frozenset(Permission(word) for word in fields["may"]),
                trusted_at=from_timestamp(fields["trusted_at"]),
                revoked_at=None if fields["revoked_at"] is None else from_timestamp(fields["revoked_at"]),
            )
        except (ConfigError, UsageError, TypeError) as exc:
            raise ValueError(str(exc)) from exc


class TrustStore:
    """The file of trusted keys. A missing file means that no key is trusted; a broken file is an error."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._parsed: tuple[bytes, tuple[TrustedKey, ...]] | None = None

    def keys(self) -> Sequence[TrustedKey]:
        """All keys, oldest first, revoked ones included.

        Raises:
            ConfigError: the file does not parse, cannot be read, or others may write to it.
        """
        try:
            content = read_protected(self.file, _WRITABLE_BY_OTHERS)
            parsed = self._parsed
            if parsed is None or parsed[0] != content:
                parsed = self._parsed = (content, _parse(content))
            return parsed[1]
        except FileNotFoundError:
            return ()
        except TooOpenError:
            raise ConfigError(
                f"{self.file}: others may write to this file of trusted keys, so they could have added a key. "
                f"Run: chmod go-w {shlex.quote(str(self.file))}, then check its keys: lifecycle keys list"
            ) from None
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise ConfigError(f"{self.file}: not a file of trusted keys: {why}") from exc

    def find(self, kid: str) -> TrustedKey | None:
        """The key with this thumbprint, or None."""
        return next((key for key in self.keys() if key.kid == kid), None)

    def trust(self, key: PublicKey, name: str | None, may: Iterable[Permission], now: datetime) -> TrustedKey:
        """Trust a key with exactly these permissions from now on. A revoked key is trusted again.

        Args:
            name: None keeps the current name.

        Raises:
            UsageError: the name is not valid or missing, or ``may`` is empty.
            Conflict: another key that is not revoked has the name.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        allowed = frozenset(may)
        if not allowed:
            raise UsageError("say what the key may sign: evidence, override or both")
        with locked(self.file):
            known = self.find(key.kid)
            called = known.name if name is None and known else check_key_name(name)
            others = [other for other in self.keys() if other.kid != key.kid]
            if called in _names_in_use(others):
                raise Conflict(f"another key is called {called!r}: choose another name, or revoke that key first")
            trusted = TrustedKey(key.kid, key.coordinate, called, allowed, now)
            self._write([*others, trusted])
        return trusted

    def introduce(self, key: PublicKey, name: str, may: Iterable[Permission], now: datetime) -> TrustedKey:
        """Trust a key that is not in the file yet. A known key, revoked or not, is left unchanged.

        If the name is taken, a number is appended.
        """
        known = self.find(key.kid)
        if known is not None:
            return known
        with locked(self.file):
            known = self.find(key.kid)
            if known is None:
                taken = _names_in_use(self.keys())
                numbered = (f"{name}-{number}" for number in count(2))
                free = next(candidate for candidate in chain([name], numbered) if candidate not in taken)
                known = TrustedKey(key.kid, key.coordinate, free, frozenset(may), now)
                self._write([*self.keys(), known])
        return known

    def revoke(self, who: str, now: datetime) -> TrustedKey:
        """Revoke a key. Revoking it again keeps the first time.

        Args:
            who: Name or thumbprint; the first eight characters of a thumbprint are enough.

        Raises:
            NotFound: no key matches, or more than one does.
            ConfigError, Unavailable: the file cannot be read or written.
        """
        with locked(self.file):
            keys = self.keys()
            meant = _meant(who, keys)
            revoked = replace(meant, revoked_at=meant.revoked_at or now)
            if revoked != meant:
                self._write([revoked if key.kid == revoked.kid else key for key in keys])
        return revoked

    def _write(self, keys: Sequence[TrustedKey]) -> None:
        content = json.dumps({"keys": [key.as_fields() for key in keys]}, indent=2) + "\n"
        write_protected(self.file, content.encode(), 0o644)


def _parse(content: bytes) -> tuple[TrustedKey, ...]:
    fields = strict_json(content)
    if not isinstance(fields, dict) or set(fields) != {"keys"} or not isinstance(fields["keys"], list):
        raise ValueError('it has to hold {"keys": [...]} and nothing else')
    keys = []
    for number, entry in enumerate(fields["keys"], start=1):
        try:
            keys.append(TrustedKey.from_fields(entry))
        except ValueError as exc:
            raise ValueError(f"key {number}: {exc}") from exc
    names = [key.name for key in keys if key.revoked_at is None]
    if len({key.kid for key in keys}) < len(keys) or len(set(names)) < len(names):
        raise ValueError("two of its keys are equal or have the same name")
    return tuple(keys)


def _meant(who: str, keys: Sequence[TrustedKey]) -> TrustedKey:
    """The key that is meant; a valid key goes before a revoked one with the same name."""
    counting = [key for key in keys if key.name == who and key.revoked_at is None]
    printed = [key for key in keys if len(who) >= _MIN_THUMBPRINT_CHARS and key.kid.startswith(who)]
    gone = [key for key in keys if key.name == who][-1:]
    meant = counting or printed or gone
    if len(meant) != 1:
        raise NotFound(unknown("key", who[:80], {key.name for key in keys}))
    return meant[0]


def _names_in_use(keys: Sequence[TrustedKey]) -> set[str]:
    return {key.name for key in keys if key.revoked_at is None}


def check_key_name(name: object) -> str:
    """Return a valid key name. Raises UsageError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(
            "a key needs a name of 1 to 40 letters, digits and . _ @ -, with a letter or digit first, "
            "such as --name ci"
        )
    return name
