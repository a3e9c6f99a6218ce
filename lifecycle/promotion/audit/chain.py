"""One ledger's chain: each entry has to follow from the one before, and the head to agree with the last one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import UnionType
from typing import Any

from sqlalchemy import Row

from lifecycle.domain.canonical import canonical_json
from lifecycle.domain.ledger import LedgerEntry, hash_of
from lifecycle.promotion.audit.findings import Broken, Finding

_KINDS: dict[str, type | UnionType] = {
    **dict.fromkeys(("sequence", "version"), int),
    **dict.fromkeys(("at", "action", "model", "stage", "digest", "actor", "requested_by", "reason"), str),
    **dict.fromkeys(("detail", "key", "previous_hash", "hash"), str),
    "previous": int | None,
    **dict.fromkeys(("evidence_id", "until"), str | None),
}


@dataclass(frozen=True, slots=True)
class Head:
    """What the guard noted about the newest entry."""

    model: str
    sequence: int
    hash: str


class Chain:
    """Follows one ledger, row by row, and keeps nothing of it but the last link."""

    def __init__(self, model_uid: str, head: Head | None) -> None:
        self.model = head.model if head else ""
        self.model_uid = model_uid
        self.entries = 0
        self.last_hash = ""
        self._head = head
        self._last = 0
        self._follows = {model_uid}

    def follow(self, row: Row[Any]) -> tuple[LedgerEntry | None, list[Finding]]:
        """The entry in the next row of the table, if it is one, and what is wrong with it."""
        if not isinstance(row.sequence, int):  # SQLite takes anything
            return None, [self.finding(Broken.STRANGER, None, "an entry has no number")]
        gap = row.sequence != self._last + 1
        found = [self._missing(self._last + 1, row.sequence - 1)] if gap else []
        self.entries, self._last = self.entries + 1, row.sequence
        fields = _fields(row.entry)
        entry = _entry(fields)
        if fields is None or entry is None:
            self._follows = set()
            return None, [*found, self.finding(Broken.EDITED, row.sequence, "is no ledger entry (any more)")]
        self.model = self.model or entry.model
        found += self._edited(entry, fields, row.sequence, linked=not gap)
        found += self._displaced(entry, row)
        return entry, found

    def close(self) -> list[Finding]:
        """What is wrong with the end, after the last row."""
        head = self._head
        if head is None:
            return [self.finding(Broken.HEAD, None, "the ledger has no head: somebody has taken it away")]
        if head.sequence > self._last:
            return [self._missing(self._last + 1, head.sequence)]
        if head.sequence < self._last:
            behind = f"the head ends at entry {head.sequence}, and {self._last} are there"
            return [self.finding(Broken.HEAD, head.sequence, behind)]
        if self._follows and head.hash not in self._follows:
            return [self.finding(Broken.HEAD, head.sequence, "the head is not that of the newest entry")]
        return []

    def finding(self, what: Broken, sequence: int | None, message: str) -> Finding:
        """Something that is wrong with this ledger."""
        return Finding(what, self.model, self.model_uid, sequence, message)

    def _edited(self, entry: LedgerEntry, fields: dict[str, Any], sequence: int, *, linked: bool) -> list[Finding]:
        found = []
        made = hash_of(fields)
        if made != entry.hash:
            found.append(self.finding(Broken.EDITED, sequence, "is not what its hash was made of"))
        if linked and self._follows and entry.previous_hash not in self._follows:
            found.append(self.finding(Broken.LINK, sequence, "does not follow from the one before it"))
        # Of an entry that was edited, the next one may follow rightly: one edit is one break.
        self._follows, self.last_hash = {entry.hash, made}, entry.hash
        return found

    def _displaced(self, entry: LedgerEntry, row: Row[Any]) -> list[Finding]:
        found = []
        if (entry.sequence, entry.model) != (row.sequence, self.model):
            message = f"is entry {entry.sequence} of {entry.model!r}, and does not belong here"
            found.append(self.finding(Broken.STRANGER, row.sequence, message))
        told = {"action": str(entry.action), "version": entry.version, "request_key": entry.key or None}
        wrong = [name for name, value in told.items() if getattr(row, name) != value]
        if wrong:
            message = f"is not what its columns say ({', '.join(wrong)})"
            found.append(self.finding(Broken.COLUMN, row.sequence, message))
        return found

    def _missing(self, first: int, last: int) -> Finding:
        if last < first:  # a number below 1
            return self.finding(Broken.STRANGER, last + 1, "has a number that no entry has")
        if first == last:
            return self.finding(Broken.MISSING, first, "is missing")
        return self.finding(Broken.MISSING, first, f"is missing, and so is every other one up to {last}")


def _fields(text: str) -> dict[str, Any] | None:
    """The entry's fields, if the text is spelled as the guard spells: then no byte of it can change unseen."""
    try:
        fields = json.loads(text)
        return fields if isinstance(fields, dict) and canonical_json(fields) == text else None
    except (ValueError, RecursionError):
        return None


def _entry(fields: dict[str, Any] | None) -> LedgerEntry | None:
    if fields is None or not all(isinstance(fields.get(name), kind) for name, kind in _KINDS.items()):
        return None
    try:
        return LedgerEntry.from_dict(fields)
    except ValueError:
        return None
