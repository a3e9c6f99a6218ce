"""Results of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class AuditProblem(StrEnum):
    """Kinds of findings. Stable values."""

    EDITED = "edited"
    """An entry differs from what its hash was computed over, or is not an entry."""
    LINK = "link"
    """An entry does not follow from the one before it."""
    MISSING = "missing"
    """Entries are missing: in between, at the end, or all of them."""
    STRANGER = "stranger"
    """An entry or evidence record belongs to another place."""
    HEAD = "head"
    """The record of the ledger's length is missing or wrong."""
    COLUMN = "column"
    """A column that indexes an entry differs from the entry."""
    EVIDENCE = "evidence"
    """An evidence record differs from what was signed."""
    UNFOUNDED = "unfounded"
    """The evidence that an entry names is missing, or does not support the entry."""
    OUTSIDE = "outside"
    """MLflow's own tables and the ledger disagree."""
    REWRITTEN = "rewritten"
    """An earlier export differs."""


@dataclass(frozen=True, slots=True)
class AuditIssue:
    """One finding or note of an audit.

    Attributes:
        what: A word of :class:`AuditProblem`; ``key`` for a note about a key.
        model: Name of the model, if known.
        model_uid: Key of its ledger.
        sequence: The entry's number; None where it isn't about one entry.
    """

    what: str
    model: str
    model_uid: str
    sequence: int | None
    message: str


@dataclass(frozen=True, slots=True)
class AuditedLedger:
    """An audited ledger.

    Attributes:
        entries: Number of entries.
        head: Hash of the newest entry. Noted down, it can be looked up in later exports.
    """

    model: str
    model_uid: str
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The result of an audit.

    Attributes:
        ledgers: The audited ledgers, those of deleted models included.
        evidence: Number of audited evidence records.
        breaks: The findings.
        notes: What could not be checked, or is worth knowing.
    """

    ledgers: Sequence[AuditedLedger]
    evidence: int
    breaks: Sequence[AuditIssue]
    notes: Sequence[AuditIssue]

    @property
    def whole(self) -> bool:
        """Whether there is no finding."""
        return not self.breaks

    def as_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "whole": self.whole,
            "ledgers": [asdict(ledger) for ledger in self.ledgers],
            "entries": sum(ledger.entries for ledger in self.ledgers),
            "evidence": self.evidence,
            "breaks": [asdict(finding) for finding in self.breaks],
            "notes": [asdict(finding) for finding in self.notes],
        }
