"""What a registry can be asked to do with a version and a stage, and the recorded state that decides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.text import canonical_json, json_types
from lifecycle.domain.verdict import Evidence


class RequestKind(StrEnum):
    """How a version is to come into a stage."""

    PROMOTE = "PROMOTE"
    """A promotion; needs valid evidence for every gate."""
    ROLLBACK = "ROLLBACK"
    """A return to a version that held the stage before, with the same files; needs no new evidence."""
    OVERRIDE = "OVERRIDE"
    """A promotion without evidence for a limited time; needs a signature with the override permission."""


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """Move a version to a stage.

    Attributes:
        stage: The policy's name of the stage.
        reason, requested_by: For the ledger.
        expected: The version that the caller saw in the stage (0: none); the promotion is refused with a
            conflict when that is no longer so. None: the caller does not care.
        key: Idempotency key; empty for none.
        digest: For an override: digest of the files.
        issued_at, until: For an override, UTC: when it was signed, and when it ends.
        signed: For a received override: the signed text. Not part of the JSON.
    """

    model: str
    version: int
    stage: str
    kind: RequestKind = RequestKind.PROMOTE
    reason: str = ""
    requested_by: str = ""
    expected: int | None = None
    key: str = ""
    digest: str = ""
    issued_at: datetime | None = None
    until: datetime | None = None
    signed: str = field(default="", metadata={"stored": False})

    def to_json(self) -> str:
        """Canonical JSON, read by :mod:`lifecycle.codec`."""
        return canonical_json(json_types(self))


@dataclass(frozen=True, slots=True)
class _OfVersion:
    """A request about a version and a stage of the policy that never comes from a client as it is."""

    model: str
    version: int
    stage: str


@dataclass(frozen=True, slots=True)
class ApprovalRequest(_OfVersion):
    """Approve a version for a stage."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Demotion(_OfVersion):
    """A version has left a stage of MLflow's, or its alias is taken away where the stage is an alias alone."""


@dataclass(frozen=True, slots=True)
class Adoption(_OfVersion):
    """A version was in a stage, or had its alias, when the guard was installed.

    Attributes:
        held: What it held, for people.
    """

    held: str
    requested_by: str
    reason: str


@dataclass(frozen=True, slots=True)
class CopyRequest(_OfVersion):
    """Copy a version into the model ``into``, which is the environment ``stage``."""

    into: str


@dataclass(frozen=True, slots=True)
class CopyArrival(_OfVersion):
    """A copy that was allowed has been made: the version of the environment's model enters the stage.

    Attributes:
        source: What it is a copy of, as MLflow says it.
        digest, evidence_id: Of the version that it is a copy of.
        signed: The evidence of that version, as it was signed.
    """

    source: str
    digest: str
    evidence_id: str | None
    signed: str = ""


StageRequest: TypeAlias = "PromotionRequest | ApprovalRequest | Demotion | Adoption | CopyRequest | CopyArrival"


@dataclass(frozen=True, slots=True)
class PromotionContext:
    """The recorded state of a model that a decision reads.

    Attributes:
        evidence: Evidence for the version and stage, newest last; only with a trusted signature.
        ledger: The model's moves, approvals and demotions, oldest first.
        holders: Versions in each stage of the policy, by the policy's word, ascending.
        aliases: Where the model's aliases point.
        digest: Of the version's files as they are now; None where they were not read.
        author: Who registered the version, as the registry authenticated them; None where that is unknown.
        distrusted: Whether there is evidence that no trusted key has signed.
        earlier: The entry that bears the request's idempotency key, if one does.
    """

    evidence: Sequence[Evidence] = ()
    ledger: Sequence[LedgerEntry] = ()
    holders: Mapping[str, Sequence[int]] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    digest: str | None = None
    author: str | None = None
    distrusted: bool = False
    earlier: LedgerEntry | None = None

    def holder(self, stage: str) -> int | None:
        """The version in a stage; the newest where a time before the guard left several."""
        return max(self.holders.get(stage, ()), default=None)
