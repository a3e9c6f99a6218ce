"""A named place where versions answer, and the lease of the follower that keeps it up to date."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from lifecycle.domain.model import ModelRef
from lifecycle.errors import Conflict, UsageError

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.\-]{0,62}[A-Za-z0-9])?")


def is_deployment_name(name: str) -> bool:
    """Whether ``name`` is safe as a file name."""
    return bool(_NAME.fullmatch(name)) and ".." not in name


def check_deployment_name(name: str) -> str:
    """Return ``name`` when it is safe as a file name, or raise UsageError."""
    if not is_deployment_name(name):
        raise UsageError(
            f"{name[:80]!r} is not a usable deployment name: use 1 to 64 letters, digits, '_', '-' and '.'"
        )
    return name


class Status(StrEnum):
    """State of a deployment."""

    READY = "READY"
    """The server answers, or (batch, edge) the output is complete."""
    FAILED = "FAILED"
    """The server does not answer, or the output could not be made."""
    STOPPED = "STOPPED"
    """It was ready once and does not answer any more."""


class VariantRole(StrEnum):
    """What a version is within a deployment."""

    CHAMPION = "champion"
    """It answers unless the traffic is split."""
    CHALLENGER = "challenger"
    """It is tried out beside the champion."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a version's files come from. A target gets them from its context by this, never by a local path.

    Attributes:
        uri: Such as ``models:/flights/3``.
        digest: sha256 of the snapshot; files with another digest are refused.
    """

    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Variant:
    """One version within a deployment.

    Attributes:
        share: Of the traffic, 0 to 1.
        compiled: Whether its compiled form serves; else pyfunc does.
        reason: Why pyfunc serves; empty where that is not known.
    """

    version: int
    source: ModelSource
    role: VariantRole = VariantRole.CHAMPION
    share: float = 1.0
    compiled: bool = False
    reason: str = ""

    @property
    def scorer(self) -> str:
        """``compiled`` or ``pyfunc``."""
        return "compiled" if self.compiled else "pyfunc"

    @property
    def digest(self) -> str:
        """sha256 of its snapshot."""
        return self.source.digest

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "version": self.version,
            "uri": self.source.uri,
            "digest": self.digest,
            "role": str(self.role),
            "share": self.share,
            "compiled": self.compiled,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Variant:
        """Read what :meth:`as_dict` wrote. Raises KeyError, TypeError or ValueError for anything else."""
        source = ModelSource(str(fields["uri"]), str(fields["digest"]))
        role, share = VariantRole(fields["role"]), float(fields["share"])
        compiled, reason = bool(fields["compiled"]), str(fields.get("reason", ""))
        return cls(int(fields["version"]), source, role, share, compiled, reason)


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """A deployment that a target is asked to start.

    Attributes:
        name: Unique within the target.
        ref: What the user asked for; a stage or alias means that the deployment follows it.
        variants: The versions: exactly one champion, and shares of the traffic that add up to 1.
        options: The target's own options, parsed from ``-C key=value`` by the target.
        existing_only: Whether it is an update, refused with NotFound where the deployment was deleted meanwhile.

    Raises:
        UsageError: the variants are not so.
    """

    name: str
    ref: ModelRef
    variants: tuple[Variant, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    existing_only: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        check_variants(self.variants)

    @property
    def champion(self) -> Variant:
        """The version that answers unless the traffic is split."""
        return next(variant for variant in self.variants if variant.role is VariantRole.CHAMPION)

    @property
    def version(self) -> int:
        """The champion's."""
        return self.champion.version

    @property
    def digest(self) -> str:
        """The champion's."""
        return self.champion.digest


def check_variants(variants: Sequence[Variant]) -> None:
    """Raises UsageError unless there is exactly one champion and the shares of the traffic add up to 1."""
    champions = sum(variant.role is VariantRole.CHAMPION for variant in variants)
    if champions != 1:
        raise UsageError(f"a deployment has exactly one champion, and this one has {champions}")
    shares = [variant.share for variant in variants]
    if not all(0 <= share <= 1 for share in shares) or not math.isclose(sum(shares), 1, abs_tol=1e-9):
        raise UsageError(f"shares of the traffic are 0 to 1 and add up to 1, and these are {shares}")
    if len({variant.version for variant in variants}) != len(variants):
        raise UsageError("a version is there twice; give each variant a version of its own")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment as its target reports it.

    Attributes:
        version, digest: What answers; the champion where the traffic is split.
        address: URL of the server or path of the output.
        detail: Why it is not READY, or empty.
        figures: What the target counts: rows in, rows out, process id …
        variants: All versions that answer; empty where a target says nothing about them.
    """

    name: str
    target: str
    ref: ModelRef
    version: int
    digest: str
    status: Status
    address: str = ""
    detail: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()


FOLLOWER_LEASE = timedelta(seconds=30)
"""How long a follower has the work for itself before it has to say that it still works."""

RELEASED = "released"

_HOLDER = re.compile(r"[A-Za-z0-9_.@:\-]{1,100}")
_UNTIL = " until "


def apply_lease(kept: str, said: str, now: datetime) -> str:
    """What is kept after a follower has spoken; empty for nothing.

    Args:
        kept: What is kept before; empty for nothing. Anything else than a lease counts as nothing.
        now: UTC, from the registry's clock.

    Raises:
        UsageError: nothing that a follower says.
        Conflict: another follower has the lease; names it.
    """
    name, _, rest = said.partition(" ")
    if not _HOLDER.fullmatch(name) or rest not in ("", RELEASED):
        raise UsageError(
            "a follower says its name (letters, digits and . _ @ : -), alone or with 'released' behind it"
        )
    holder, until = _parsed(kept)
    if holder not in ("", name) and now < until:
        raise Conflict(f"follower {holder} has the lease until {until:%H:%M:%S} UTC")
    return "" if rest else f"{name}{_UNTIL}{(now + FOLLOWER_LEASE).isoformat(timespec='milliseconds')}"


def _parsed(kept: str) -> tuple[str, datetime]:
    name, _, until = kept.partition(_UNTIL)
    try:
        return name, datetime.fromisoformat(until).astimezone(UTC)
    except ValueError:
        return "", datetime.min.replace(tzinfo=UTC)
