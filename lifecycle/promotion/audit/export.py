"""Exports the ledger to a file, and compares a later ledger with an export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.text import canonical_json
from lifecycle.errors import NotFound, UsageError
from lifecycle.promotion.audit.findings import AuditIssue, AuditProblem
from lifecycle.promotion.database import EVIDENCE, HEADS, LEDGER
from lifecycle.signing.jws import payload_of

_ENTRY, _EVIDENCE = "entry", "evidence"
COLUMNS = ("model_uid", *(column.name for column in fields(LedgerEntry)))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def records(connection: Connection, model: str | None, *, with_evidence: bool) -> Iterator[dict[str, Any]]:
    """All entries, or those of one model's name; then the evidence, if requested.

    A row that is not an entry is given as it is, under ``unreadable``.
    """
    named = select(HEADS.c.model_uid).where(HEADS.c.model == model)
    for table, read in ((LEDGER, _entry), (EVIDENCE, _evidence))[: 2 if with_evidence else 1]:
        query = select(table).order_by(table.c.model_uid, *table.primary_key.columns)
        wanted = query if model is None else query.where(table.c.model_uid.in_(named))
        for row in connection.execute(wanted, execution_options={"yield_per": 500}):
            yield read(row)


def as_jsonl(lines: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """One line of JSON for each record."""
    for line in lines:
        try:
            text = canonical_json(line)
        except (ValueError, TypeError):  # bytes or NaN were written into the table
            text = canonical_json({"kind": line["kind"], "model_uid": line["model_uid"], "unreadable": repr(line)})
        yield text.encode() + b"\n"


def as_csv(lines: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """CSV with one line per entry. Cells that a spreadsheet would read as formulas get an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in chain([COLUMNS], ([line.get(column) for column in COLUMNS] for line in lines)):
        cells = ["" if cell is None else str(cell) for cell in row]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier export.

    Attributes:
        entries: Hash of each entry by its number, by ledger.
        evidence: Digests of the evidence records, by ledger.
    """

    entries: dict[str, dict[int, str]] = field(default_factory=dict)
    evidence: dict[str, dict[str, str]] = field(default_factory=dict)


def read_export(file: Path) -> Earlier:
    """Read a jsonl file of ``lifecycle audit export``.

    Raises:
        NotFound: no such file.
        UsageError: it is something else, from that line on.
    """
    earlier = Earlier()
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                _remember(earlier, line, f"{file}, line {number}")
    except (OSError, UnicodeDecodeError) as exc:
        raise NotFound(f"{file}: not a readable file ({type(exc).__name__})") from exc
    if not earlier.entries:
        raise UsageError(f"{file} holds no entry of a ledger; lifecycle audit export writes such files")
    return earlier


def evidence_key(version: int, stage: str, evidence_id: str) -> str:
    """Key of an evidence record within its model."""
    return f"{evidence_id} of version {version} for {stage}"


def evidence_digest(signed: str, received_from: str) -> str:
    """Digest by which an evidence record is compared."""
    return sha256(f"{received_from}\n{signed}".encode()).hexdigest()


def _remember(earlier: Earlier, line: str, where: str) -> None:
    try:
        found = json.loads(line)
        uid, kind = found["model_uid"], found["kind"]
        if kind == _ENTRY:
            earlier.entries.setdefault(uid, {})[int(found["sequence"])] = str(found.get("hash"))
        elif kind == _EVIDENCE:
            key = evidence_key(found["version"], found["stage"], found["evidence_id"])
            digest = evidence_digest(found["signed"], found["received_from"])
            earlier.evidence.setdefault(uid, {})[key] = digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise UsageError(f"{where}: no line of an export in jsonl, as lifecycle audit export writes it") from exc


def _entry(row: Any) -> dict[str, Any]:
    place = {"kind": _ENTRY, "model_uid": row.model_uid}
    try:
        return {**json.loads(row.entry), **place}
    except (ValueError, TypeError, RecursionError):
        return place | {"sequence": row.sequence, "unreadable": row.entry}


def _evidence(row: Any) -> dict[str, Any]:
    place = {column.name: getattr(row, column.name) for column in EVIDENCE.columns} | {"kind": _EVIDENCE}
    try:
        return place | {"evidence": json.loads(payload_of(row.signed))}
    except (ValueError, TypeError, RecursionError):
        return place | {"evidence": None}


class Comparison:
    """Compares today's ledger with an export: what is missing or different was rewritten."""

    def __init__(self, earlier: Earlier, names: Mapping[str, str]) -> None:
        self._entries = {uid: dict(entries) for uid, entries in earlier.entries.items()}
        self._evidence = {uid: dict(records) for uid, records in earlier.evidence.items()}
        self._names = names
        self._different: dict[str, list[int]] = {}
        self._changed: list[tuple[str, str]] = []

    def entry(self, model_uid: str, sequence: int, entry_hash: str) -> None:
        """Compare one of today's entries."""
        then = self._entries.get(model_uid, {}).pop(sequence, entry_hash)
        if then != entry_hash:
            self._different.setdefault(model_uid, []).append(sequence)

    def evidence(self, row: Row[Any]) -> None:
        """Compare one of today's evidence records."""
        key = evidence_key(row.version, row.stage, row.evidence_id)
        now = evidence_digest(row.signed, row.received_from)
        if self._evidence.get(row.model_uid, {}).pop(key, now) != now:
            self._changed.append((row.model_uid, key))

    def differences(self, uids: frozenset[str] | None) -> Iterator[AuditIssue]:
        """Differences from the export, after all of today's records; None for every ledger.

        One finding per ledger: after the first difference everything differs.
        """
        for uid, sequences in self._different.items():
            yield self._finding(uid, min(sequences), f"is another than in the export ({len(sequences)} are)")
        for uid, left in self._entries.items():
            if left and (uids is None or uid in uids):
                yield self._finding(uid, min(left), f"is in the export, and not there any more ({len(left)} are)")
        for uid, key in self._changed:
            yield self._finding(uid, None, f"evidence {key} is another than in the export")
        for uid, records in self._evidence.items():
            for key in records if uids is None or uid in uids else ():
                yield self._finding(uid, None, f"evidence {key} is in the export, and not there any more")

    def _finding(self, uid: str, sequence: int | None, message: str) -> AuditIssue:
        return AuditIssue(AuditProblem.REWRITTEN, self._names.get(uid, ""), uid, sequence, message)
