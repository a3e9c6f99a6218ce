"""The record of who moved what where, as a hash chain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.canonical import canonical_json, json_types, sha256_of

GENESIS = "0" * 64
"""The ``previous_hash`` of a first entry where a ledger is known by nothing but the model's name.

In a registry with the guard it is the model's uid instead, so that one model's ledger can't pass for another's.
"""


UNAUTHENTICATED = "unauthenticated"
"""The actor where the registry authenticates nobody."""


class Action(StrEnum):
    """What an entry says happened."""

    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"
    DEMOTED = "DEMOTED"
    REFUSED = "REFUSED"
    APPROVED = "APPROVED"
    OVERRIDDEN = "OVERRIDDEN"
    """Promoted without gates, by a key that may, for a limited time."""
    ADOPTED = "ADOPTED"
    """Was in the stage when the guard came. Moved nothing, and proves nothing."""


MOVES = frozenset({Action.PROMOTED, Action.ROLLED_BACK, Action.OVERRIDDEN})
"""Actions that put a version into a stage."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of a model's ledger.

    Attributes:
        sequence: 1, 2, 3 … within the model.
        at: UTC.
        action: What happened; a refusal changes nothing and is recorded all the same.
        model, stage, version: What it happened to (``stage`` is the policy's word).
        previous: The version that held the stage before, if one did.
        digest: The snapshot that the evidence speaks of; empty where nothing was judged.
        actor: Who, from the server's authentication; ``unauthenticated`` where it has none.
        requested_by: Who the client says it was. Never proof.
        reason: Why, in the words of whoever asked.
        evidence_id: On what evidence.
        detail: Why it was refused, or empty.
        key: Idempotency key: the same request sent twice is one entry.
        until: UTC; when an override ends.
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
        """Whether what the entry moved may be served: an override ends."""
        return self.moved and (self.until is None or now < self.until)

    @property
    def who(self) -> str:
        """The authenticated actor, or whom the client says it was, marked as such."""
        if self.actor != UNAUTHENTICATED or not self.requested_by:
            return self.actor
        return f"{self.requested_by} (unverified)"

    @property
    def why(self) -> str:
        """The reason that was given and, of a refusal, what was missing, without the advice on what to do."""
        missing = self.detail.partition(" Run: ")[0]
        return ": ".join(part for part in (self.reason, missing) if part)

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
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
        anchor: What the first entry has to follow; None: whatever it says.
    """
    broken, previous_hash, expected = [], anchor, 1
    for entry in entries:
        follows = entry.previous_hash if previous_hash is None else previous_hash
        if entry.sequence != expected or entry.with_hash(follows) != entry:
            broken.append(entry.sequence)
        previous_hash, expected = entry.hash, entry.sequence + 1
    return broken
