"""Verifies evidence records: their signatures, and the ledger entries that rest on them."""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.verdict import Evidence, Outcome
from lifecycle.errors import NotTrusted
from lifecycle.promotion.audit.findings import AuditIssue, AuditProblem
from lifecycle.registry.signer import OnceTrusted
from lifecycle.signing.jws import payload_of, verify
from lifecycle.signing.trust import Permission, TrustStore

_COPIED = "copied from "  # lifecycle.promotion.environment


@dataclass(frozen=True, slots=True)
class Record:
    """The facts of an evidence record that entries rest on."""

    model_uid: str
    version: int
    stage: str
    digest: str
    outcome: Outcome


class EvidenceAudit:
    """Verifies every record once; afterwards it knows which evidence an entry may rest on.

    Args:
        names: Known model names by uid.
    """

    def __init__(self, trust: TrustStore, names: Mapping[str, str]) -> None:
        self._once_trusted = OnceTrusted(trust.file, Permission)
        self._names = names
        self._records: dict[str, list[Record]] = defaultdict(list)
        self._environments: set[str] = set()
        self._notes: Counter[str] = Counter()
        self.count = 0

    def look_at(self, row: Row[Any]) -> list[AuditIssue]:
        """Problems of a record."""
        self.count += 1
        evidence = _evidence(row.signed)
        if evidence is None:
            return [self._finding(row, "is no evidence (any more)")]
        record = Record(row.model_uid, row.version, row.stage, evidence.digest, evidence.outcome)
        self._records[row.evidence_id].append(record)
        found = []
        if evidence.evidence_id != row.evidence_id:
            found.append(self._finding(row, f"says what belongs to {evidence.evidence_id}"))
        named = (self._names.get(row.model_uid, evidence.model), row.version, row.stage)
        if (evidence.model, evidence.version, evidence.stage) != named:
            place = f"version {evidence.version} of {evidence.model} for {evidence.stage}"
            found.append(self._finding(row, f"speaks of {place}", AuditProblem.STRANGER))
        if problem := self._unsigned(row):
            found.append(self._finding(row, problem))
        return found

    def notes(self) -> list[AuditIssue]:
        """Notes on signatures that could not be checked, or whose key is revoked today."""
        return [
            AuditIssue("key", "", "", None, f"evidence {message}: {number} of {self.count} records")
            for message, number in sorted(self._notes.items())
        ]

    def problem(self, model_uid: str, entry: LedgerEntry) -> str:
        """Why an entry does not rest on the evidence that it names; empty if it does.

        Expects every ledger's entries in order.
        """
        if entry.reason.startswith(_COPIED):
            self._environments.add(model_uid)
        if entry.evidence_id is None:
            needs = entry.moved and entry.action is not Action.OVERRIDDEN
            return "moved a version without naming any evidence" if needs else ""
        named = [r for r in self._records.get(entry.evidence_id, ()) if self._about(r, model_uid, entry)]
        if not named:
            return f"names the evidence {entry.evidence_id}, which is not on record for it"
        if all(record.digest != entry.digest for record in named):
            return f"speaks of other files than the evidence {entry.evidence_id} that it names"
        if entry.moved and all(record.outcome is not Outcome.PASSED for record in named):
            return f"rests on the evidence {entry.evidence_id}, which says {named[0].outcome}"
        return ""

    def _about(self, record: Record, model_uid: str, entry: LedgerEntry) -> bool:
        """Whether the record is about the entry. A copy in an environment rests on the original's evidence."""
        if record.model_uid != model_uid:
            return model_uid in self._environments
        return (record.version, record.stage) == (entry.version, entry.stage)

    def _unsigned(self, row: Row[Any]) -> str:
        """Problem of the signature. One that cannot be checked, or whose key was revoked, is only a note."""
        keys = self._once_trusted.keys()
        try:
            key = verify(row.signed, Permission.EVIDENCE, self._once_trusted)[1]
        except NotTrusted as exc:
            kid = _unknown_kid(row.signed, self._once_trusted)
            if kid is None:
                return str(exc)
            header, _, rest = row.signed.partition(".")
            for other in keys:  # perhaps only the key's name was changed
                named = _decoded(header).replace(kid, other.kid).encode()
                with suppress(NotTrusted):
                    spelled = base64.urlsafe_b64encode(named).rstrip(b"=").decode()
                    verify(f"{spelled}.{rest}", Permission.EVIDENCE, self._once_trusted)
                    return "names another key than the one that signed it"
            return self._note(f"signed by a key that is not known here ({kid}), and so not checked")
        known = next(each for each in keys if each.kid == key.kid)
        if not known.permits(Permission.EVIDENCE):
            since = f" since {known.revoked_at:%Y-%m-%d %H:%M} UTC" if known.revoked_at else ""
            return self._note(f"signed by the key {key.name!r}, which is trusted no more{since}")
        return ""

    def _note(self, message: str) -> str:
        self._notes[message] += 1
        return ""

    def _finding(self, row: Row[Any], message: str, what: AuditProblem = AuditProblem.EVIDENCE) -> AuditIssue:
        where = f"evidence {row.evidence_id} of version {row.version} for {row.stage} {message}"
        return AuditIssue(what, self._names.get(row.model_uid, ""), row.model_uid, None, where)


def _evidence(signed: str) -> Evidence | None:
    try:
        return decode(Evidence, payload_of(signed))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _unknown_kid(signed: str, trust: TrustStore) -> str | None:
    """The key that a text names, if the only problem is that the key is unknown."""
    try:
        header = json.loads(_decoded(signed.partition(".")[0]))
    except ValueError:
        return None
    kid = header.get("kid") if isinstance(header, dict) else None
    if not isinstance(kid, str) or len(kid) != 43 or trust.find(kid) is not None:  # a sha256 in base64
        return None
    return kid


def _decoded(segment: str) -> str:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).decode()
