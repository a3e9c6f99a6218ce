"""The ledger: a hash chain of promotions, refusals, approvals and rollbacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.text import canonical_json, json_types, sha256_of

GENESIS = "0" * 64
"""The ``previous_hash`` of a first entry in a registry without the guard.

With the guard it is the model's uid, so that one model's ledger cannot pass for another's.
"""


UNAUTHENTICATED = "unauthenticated"
"""The actor when the registry authenticates no users."""


class Action(StrEnum):
    """The action that an entry records."""

    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"
    DEMOTED = "DEMOTED"
    REFUSED = "REFUSED"
    APPROVED = "APPROVED"
    OVERRIDDEN = "OVERRIDDEN"
    """Promoted without gates for a limited time, signed by a key with the override permission."""
    ADOPTED = "ADOPTED"
    """Held the stage before the guard was installed. Nothing was moved, and nothing is proved."""


MOVES = frozenset({Action.PROMOTED, Action.ROLLED_BACK, Action.OVERRIDDEN})
"""Actions that place a version in a stage."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One entry of a model's ledger.

    Attributes:
        sequence: 1, 2, 3 … within the model.
        at: UTC.
        action: What happened; refusals are recorded too.
        model, stage, version: What it happened to (``stage`` is the policy's name).
        previous: The version that held the stage before, if one did.
        digest: Digest of the files that the evidence is about; empty without evidence.
        actor: The authenticated user; ``unauthenticated`` without authentication.
        requested_by: The user that the client names; not proof.
        reason: Why, in the requester's words.
        evidence_id: Id of the evidence.
        detail: Why it was refused, or empty.
        key: Idempotency key: a repeated request gives one entry.
        until: End of an override, UTC.
        previous_hash, hash: The chain.
    """

    sequence: int
    at: datetime
    action: Action
    model: str
    stage: str
    version: int
    previous: int | None = None
    digest: str = ""
    actor: str = UNAUTHENTICATED
    requested_by: str = ""
    reason: str = ""
    evidence_id: str | None = None
    detail: str = ""
    key: str = ""
    until: datetime | None = None
    previous_hash: str = GENESIS
    hash: str = ""

    def with_hash(self, previous_hash: str) -> LedgerEntry:
        """This entry, chained to the one before it."""
        linked = replace(self, previous_hash=previous_hash)
        return replace(linked, hash=hash_of(linked.as_dict()))

    def chained(self, last: LedgerEntry | None) -> LedgerEntry:
        """This entry, numbered and chained behind the last one of the model's ledger."""
        numbered = replace(self, sequence=last.sequence + 1 if last else 1)
        return numbered.with_hash(last.hash if last else GENESIS)

    @property
    def moved(self) -> bool:
        """Whether this entry put ``version`` into ``stage``."""
        return self.action in MOVES

    def stands(self, now: datetime) -> bool:
        """Whether the moved version may still be served; an override ends."""
        return self.moved and (self.until is None or now < self.until)

    @property
    def who(self) -> str:
        """The authenticated actor, or the name that the client gave, marked as unverified."""
        if self.actor != UNAUTHENTICATED or not self.requested_by:
            return self.actor
        return f"{self.requested_by} (unverified)"

    @property
    def why(self) -> str:
        """The given reason and, for a refusal, what was missing, without advice."""
        missing = self.detail.partition(" Run: ")[0]
        return ": ".join(part for part in (self.reason, missing) if part)

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        fields: dict[str, Any] = json_types(self)
        return fields

    def to_json(self) -> str:
        """Canonical JSON, read by :mod:`lifecycle.codec`."""
        return canonical_json(json_types(self))


def hash_of(fields: Mapping[str, Any]) -> str:
    """The hash that an entry's :meth:`LedgerEntry.as_dict` should have: over everything but the hash itself."""
    return sha256_of({**fields, "hash": ""})


def broken_links(entries: Iterable[LedgerEntry], anchor: str | None = None) -> list[int]:
    """Sequence numbers of entries that do not follow from the one before: edited, dropped or swapped.

    Expects a model's whole ledger in order. A truncated tail leaves no trace in the chain itself.

    Args:
        anchor: The hash that the first entry has to follow; None for any.
    """
    broken, previous_hash, expected = [], anchor, 1
    for entry in entries:
        follows = entry.previous_hash if previous_hash is None else previous_hash
        if entry.sequence != expected or entry.with_hash(follows) != entry:
            broken.append(entry.sequence)
        previous_hash, expected = entry.hash, entry.sequence + 1
    return broken
