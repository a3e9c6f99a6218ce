"""An API key: ``lck_``, an id of 12 characters, ``_``, and 43 random characters (256 bits).

Only its SHA-256 is stored. A slow, salted hash such as bcrypt protects passwords that people choose. A random key
has 2^256 values, and a tenth of a second per request would make a denial of service easy.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from lifecycle.domain.deployment import check_deployment_name
from lifecycle.domain.text import from_timestamp, to_timestamp
from lifecycle.errors import UsageError
from lifecycle.serving.auth.caller import MAY

PREFIX = b"lck_"
ID = slice(4, 16)
"""Position of the id in a key."""

_CHARS = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,39}")
_FIELDS = {"name", "id", "sha256", "may", "deployments", "created_at", "expires_at", "revoked_at"}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored API key, without its secret.

    Attributes:
        name: Readable name, used in logs.
        id: The part of the key that identifies it; not secret.
        sha256: Hash of the whole key, in hexadecimal.
        may: ``predict`` or ``admin``.
        deployments: Deployments that it opens; empty for all.
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
        """Whether the key is valid: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def as_fields(self) -> dict[str, Any]:
        """As JSON fields; times as in the ledger."""
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
        """The inverse of :meth:`as_fields`. Raises ValueError for anything else."""
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
    """Make a new random key.

    Raises:
        UsageError: the name or a deployment's name is not valid.
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
    """A new key with its secret, which is shown once and stored nowhere."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"ApiKeyMade({self.key!r})"


def looks_like_key(token: bytes) -> bool:
    """Whether a text has the form of our API keys."""
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
