"""Asking for a promotion: what the caller says, and what is on record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from lifecycle.domain.canonical import canonical_json, from_timestamp, to_timestamp
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import LedgerEntry


class RequestKind(StrEnum):
    """What is asked for."""

    PROMOTE = "PROMOTE"
    """Needs fresh evidence for every gate."""
    ROLLBACK = "ROLLBACK"
    """Back to a version that the stage held before, with the digest it had then; needs no new evidence."""
    OVERRIDE = "OVERRIDE"
    """Without evidence, for a limited time; needs the signature of a key that may."""


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """A version that somebody wants in a stage.

    Attributes:
        stage: The policy's word for the stage.
        reason, requested_by: For the ledger.
        expected: The version that the caller saw in the stage (0: none); the promotion is refused with a
            conflict when that is no longer so. None: the caller does not care.
        key: Idempotency key; empty for none.
        digest: Of an override: the files that it speaks of.
        issued_at, until: Of an override, UTC: when it was signed, and when it ends.
        signed: Of an override, where it has arrived: the very text that was signed. No part of what is sent.
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
    signed: str = ""

    def to_json(self) -> str:
        """Canonical JSON."""
        times = {"issued_at": self.issued_at, "until": self.until}
        fields = asdict(self) | {name: t and to_timestamp(t) for name, t in times.items()}
        del fields["signed"]
        return canonical_json(fields)

    @classmethod
    def from_json(cls, text: str) -> PromotionRequest:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: the text is not such a request.
        """
        try:
            fields = json.loads(text)
            said = {name: fields[name] for name in ("issued_at", "until")}
            times = {name: None if t is None else from_timestamp(t) for name, t in said.items()}
            return cls(**fields | times | {"kind": RequestKind(fields["kind"]), "version": int(fields["version"])})
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not a promotion request: {type(exc).__name__}") from exc


@dataclass(frozen=True, slots=True)
class PromotionContext:
    """What is on record about a model.

    Attributes:
        evidence: For the version and stage in question, newest last; only such as a trusted key has signed.
        ledger: The model's moves, approvals and demotions, oldest first.
        holder: The version in the stage now.
        digest: Of the version's files as they are now; None where nobody has looked.
        author: Who registered the version, as the registry authenticated them; None where nobody knows.
        distrusted: Whether evidence lies there that no trusted key has signed.
    """

    evidence: Sequence[Evidence]
    ledger: Sequence[LedgerEntry]
    holder: int | None
    digest: str | None
    author: str | None = None
    distrusted: bool = False
