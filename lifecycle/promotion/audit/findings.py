"""What an audit says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class AuditProblem(StrEnum):
    """What can be wrong. Stable words for machines."""

    EDITED = "edited"
    """An entry is not what its hash was made of, or no entry at all."""
    LINK = "link"
    """An entry does not follow from the one before it."""
    MISSING = "missing"
    """Entries are not there: between others, at the end, or all of them."""
    STRANGER = "stranger"
    """An entry or a record that belongs to another place."""
    HEAD = "head"
    """What says how long the ledger is, is missing or says something else."""
    COLUMN = "column"
    """A column by which an entry is found does not say what the entry says."""
    EVIDENCE = "evidence"
    """A record of evidence is not what was signed."""
    UNFOUNDED = "unfounded"
    """The evidence that an entry names is missing, or does not say what the entry rests on."""
    OUTSIDE = "outside"
    """MLflow's own tables hold something that the ledger does not tell, or the other way round."""
    REWRITTEN = "rewritten"
    """An earlier export tells it differently."""


@dataclass(frozen=True, slots=True)
class AuditIssue:
    """One thing that is wrong, or worth knowing.

    Attributes:
        what: A word of :class:`AuditProblem`; ``key`` for a note about a key.
        model: Its name, as far as it is known.
        model_uid: What its ledger is kept by.
        sequence: The entry's number; None where it isn't about one entry.
    """

    what: str
    model: str
    model_uid: str
    sequence: int | None
    message: str

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AuditedLedger:
    """A ledger that was looked at.

    Attributes:
        entries: How many there are.
        head: The hash of the newest one. Whoever has noted it down can tell later what has become of it.
    """

    model: str
    model_uid: str
    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes:
        ledgers: What was looked at, those of models that are gone included.
        evidence: How many records of evidence were looked at.
        breaks: What is wrong.
        notes: What could not be checked, or is worth knowing.
    """

    ledgers: Sequence[AuditedLedger]
    evidence: int
    breaks: Sequence[AuditIssue]
    notes: Sequence[AuditIssue]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.breaks

    def as_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "whole": self.whole,
            "ledgers": [asdict(ledger) for ledger in self.ledgers],
            "entries": sum(ledger.entries for ledger in self.ledgers),
            "evidence": self.evidence,
            "breaks": [finding.as_dict() for finding in self.breaks],
            "notes": [finding.as_dict() for finding in self.notes],
        }
