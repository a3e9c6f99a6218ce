"""An API key: ``lck_`` + 12 characters that say which one + ``_`` + 43 random ones (256 bits).

Only its SHA-256 is kept. A slow, salted hash such as bcrypt is for passwords that people choose: nobody can try
the 2^256 values of a random one, and a tenth of a second a request would itself be a way to knock a server over.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from lifecycle.domain.canonical import from_timestamp, to_timestamp
from lifecycle.domain.deployment import check_deployment_name
from lifecycle.errors import UsageError
from lifecycle.serving.auth.caller import MAY

PREFIX = b"lck_"
ID = slice(4, 16)
"""Where in a key it says which one it is."""

_CHARS = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")
_FIELDS = {"name", "id", "sha256", "may", "deployments", "created_at", "expires_at", "revoked_at"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key.

    Attributes:
        name: What people call it, and what logs say.
        id: The part of the key that says which one it is; no secret.
        sha256: Of the whole key, in hexadecimal.
        may: ``predict`` or ``admin``.
        deployments: Those that it opens; empty for all.
        created_at, expires_at, revoked_at: UTC.
    """

    name: str
    id: str
    sha256: str
    may: str
    deployments: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def counts(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def as_fields(self) -> dict[str, Any]:
        """For JSON; times as in the ledger."""
        times = {name: getattr(self, name) for name in ("created_at", "expires_at", "revoked_at")}
        return {
            "name": self.name,
            "id": self.id,
            "sha256": self.sha256,
            "may": self.may,
            "deployments": [*self.deployments],
            **{name: None if moment is None else to_timestamp(moment) for name, moment in times.items()},
        }

    @classmethod
    def from_fields(cls, fields: Any) -> ApiKey:
        """Raises ValueError for anything that :meth:`as_fields` does not give."""
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise ValueError(f"it has to have {', '.join(sorted(_FIELDS))} and nothing else")
        if not re.fullmatch(r"[0-9a-f]{12}", str(fields["id"])):
            raise ValueError("its id is not 12 hexadecimal digits")
        if not re.fullmatch(r"[0-9a-f]{64}", str(fields["sha256"])):
            raise ValueError("its sha256 is not 64 hexadecimal digits")
        if fields["may"] not in ("predict", "admin"):
            raise ValueError("it may predict or admin, and nothing else")
        if not isinstance(fields["deployments"], list):
            raise ValueError("its deployments are not a list of names")
        return cls(
            name=_checked_name(fields["name"]),
            id=fields["id"],
            sha256=fields["sha256"],
            may=fields["may"],
            deployments=tuple(_checked_deployment(name) for name in fields["deployments"]),
            created_at=from_timestamp(fields["created_at"]),
            expires_at=_moment(fields["expires_at"]),
            revoked_at=_moment(fields["revoked_at"]),
        )


def make_key(
    name: str, may: str, deployments: tuple[str, ...], now: datetime, until: datetime | None
) -> ApiKeyMade:
    """A new key.

    Raises:
        UsageError: one of the names is no name.
    """
    try:
        _checked_name(name)
    except ValueError as exc:
        raise UsageError(str(exc)) from None
    for deployment in deployments:
        check_deployment_name(deployment)
    key_id = secrets.token_hex(6)
    secret = f"{PREFIX.decode()}{key_id}_{secrets.token_urlsafe(32)}"
    if may not in MAY:
        raise UsageError(f"a key may predict or admin, not {may[:40]!r}")
    key = ApiKey(name, key_id, sha256(secret.encode()).hexdigest(), may, deployments, now, until)
    return ApiKeyMade(key, secret)


@dataclass(frozen=True, slots=True)
class ApiKeyMade:
    """A key and its secret, which is nowhere else and goes to whoever asked for it."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"ApiKeyMade({self.key!r})"


def looks_like_key(token: bytes) -> bool:
    """Whether that is written as our keys are."""
    return token.startswith(PREFIX) and len(token) == _CHARS


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{str(name)[:20]!r} is no name for a key: up to 40 letters, digits and . _ @ -")
    return name


def _checked_deployment(name: object) -> str:
    try:
        return check_deployment_name(str(name))
    except UsageError as exc:
        raise ValueError(str(exc)) from None


def _moment(text: Any) -> datetime | None:
    return None if text is None else from_timestamp(text)
