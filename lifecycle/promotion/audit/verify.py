"""Audits a database or one model: one pass over the evidence and one over the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, select

from lifecycle.codec import decode
from lifecycle.domain.ledger import LedgerEntry, hash_of
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.stage_history import StageHolders
from lifecycle.errors import NotFound, unknown
from lifecycle.promotion.audit.evidence import EvidenceAudit
from lifecycle.promotion.audit.export import Comparison, Earlier
from lifecycle.promotion.audit.findings import AuditedLedger, AuditIssue, AuditProblem, AuditReport
from lifecycle.promotion.consistency import stage_inconsistencies
from lifecycle.promotion.database import EVIDENCE, HEADS, LEDGER, RegisteredModel, registered_models
from lifecycle.signing.trust import TrustStore

Progress = Callable[[int, int], None]
"""Called with the number of entries done, and of all."""

_PAGE = 500


def audit(
    connection: Connection,
    trust: TrustStore,
    policies: PolicyBook,
    model: str | None = None,
    earlier: Earlier | None = None,
    progress: Progress = lambda _done, _all: None,
) -> AuditReport:
    """Verify all records, in a connection with a consistent view of the database.

    Args:
        trust: The keys that were ever trusted; a signature by another can't be checked.
        policies: Which stages are guarded today.
        model: Only the ledgers of this name.
        earlier: An export with which today's ledger has to begin.

    Raises:
        NotFound: there are no records of that model.
    """
    known = _known(connection, policies, model)
    work = _Pass(known, policies, EvidenceAudit(trust, known.names), Comparison(earlier or Earlier(), known.names))
    for row in _rows(connection, EVIDENCE, known.scope):
        work.record(row)
    total = _scoped(select(func.count()).select_from(LEDGER), LEDGER, known.scope)
    number = connection.execute(total).scalar_one()

    def counted() -> Iterator[Row[Any]]:
        for done, row in enumerate(_rows(connection, LEDGER, known.scope), start=1):
            yield row
            if done % _PAGE == 0:
                progress(done, number)

    for uid, rows in groupby(counted(), key=lambda row: str(row.model_uid)):
        work.ledger(uid, rows)
    return work.report()


@dataclass(frozen=True, slots=True)
class _Known:
    """The records to verify.

    Attributes:
        names: Model names by uid, from MLflow or a head.
        scope: The uids to verify; None for all.
    """

    heads: Mapping[str, Row[Any]]
    models: Mapping[str, RegisteredModel]
    names: Mapping[str, str]
    scope: frozenset[str] | None


@dataclass
class _Pass:
    """One pass over all records and entries."""

    known: _Known
    policies: PolicyBook
    evidence: EvidenceAudit
    comparison: Comparison
    breaks: list[AuditIssue] = field(default_factory=list)
    ledgers: list[AuditedLedger] = field(default_factory=list)

    def record(self, row: Row[Any]) -> None:
        """Verify an evidence record."""
        self.comparison.evidence(row)
        self.breaks += self.evidence.look_at(row)

    def ledger(self, uid: str, rows: Iterable[Row[Any]]) -> None:
        """Verify a ledger from its first entry to its last, after the evidence."""
        chain = Chain(uid, self.known.heads.get(uid))
        told = StageHolders(self.policies.of(self.known.names.get(uid, "")).aliases_alone)
        for row in rows:
            entry, found = chain.follow(row)
            self.breaks += found
            if entry is None:
                continue
            self.comparison.entry(uid, row.sequence, entry.hash)
            if problem := self.evidence.problem(uid, entry):
                self.breaks.append(chain.finding(AuditProblem.UNFOUNDED, row.sequence, problem))
            told.follow(entry)
        if chain.entries or uid in self.known.heads:
            self.breaks += chain.close()
            self.ledgers.append(AuditedLedger(chain.model, uid, chain.entries, chain.last_hash))
        self.breaks += [
            AuditIssue(AuditProblem.OUTSIDE, self.known.names.get(uid, chain.model), uid, None, message)
            for message in self._outside(uid, told)
        ]

    def report(self) -> AuditReport:
        """The report, models without entries included."""
        seen = {ledger.model_uid for ledger in self.ledgers}
        for uid in sorted({*self.known.heads, *self.known.models} - seen):
            if self.known.scope is None or uid in self.known.scope:
                self.ledger(uid, ())
        self.breaks += self.comparison.differences(self.known.scope)
        return AuditReport(self.ledgers, self.evidence.count, self.breaks, self.evidence.notes())

    def _outside(self, uid: str, told: StageHolders) -> Iterator[str]:
        """Where MLflow's own tables differ from the ledger, by the stages that are guarded today."""
        model = self.known.models.get(uid)
        if model is None:  # the guard deletes no model that holds a stage
            for entry in told.everywhere():
                if entry.moved:
                    holds = f"version {entry.version} holds {entry.stage} by the ledger"
                    yield f"{holds}, and MLflow has no such model now"
            return
        policies, staged = self.policies.of(model.name), model.staged()
        for found in stage_inconsistencies(model.name, policies, staged, model.aliases, told):
            yield str(found)


def _known(connection: Connection, policies: PolicyBook, model: str | None) -> _Known:
    heads = {head.model_uid: head for head in connection.execute(select(HEADS))}
    models = registered_models(connection, policies)
    names = {uid: m.name for uid, m in models.items()} | {uid: head.model for uid, head in heads.items()}
    if model is None:
        return _Known(heads, models, names, None)
    named = frozenset(uid for uid, name in names.items() if name == model)
    if not named:
        raise NotFound(unknown("model", model, set(names.values())))
    headless = select(LEDGER.c.model_uid).distinct().where(LEDGER.c.model_uid.not_in(select(HEADS.c.model_uid)))
    return _Known(heads, models, names, named.union(connection.execute(headless).scalars()))  # may be anybody's


def _rows(connection: Connection, table: Table, scope: frozenset[str] | None) -> Iterator[Row[Any]]:
    query = _scoped(select(table).order_by(table.c.model_uid, *table.primary_key.columns), table, scope)
    yield from connection.execute(query, execution_options={"yield_per": _PAGE})


def _scoped(query: Select[Any], table: Table, scope: frozenset[str] | None) -> Select[Any]:
    return query if scope is None else query.where(table.c.model_uid.in_(sorted(scope)))


class Chain:
    """Follows one ledger row by row, keeping only the last hash."""

    def __init__(self, model_uid: str, head: Row[Any] | None) -> None:
        self.model = head.model if head else ""
        self.model_uid = model_uid
        self.entries = 0
        self.last_hash = ""
        self._head = head
        self._last = 0
        self._follows = {model_uid}

    def follow(self, row: Row[Any]) -> tuple[LedgerEntry | None, list[AuditIssue]]:
        """The entry in the next row, if it is one, and its problems."""
        if not isinstance(row.sequence, int):  # SQLite accepts any type
            return None, [self.finding(AuditProblem.STRANGER, None, "an entry has no number")]
        gap = row.sequence != self._last + 1
        found = [self._missing(self._last + 1, row.sequence - 1)] if gap else []
        self.entries, self._last = self.entries + 1, row.sequence
        entry = _entry(row.entry)
        if entry is None:
            self._follows = set()
            return None, [*found, self.finding(AuditProblem.EDITED, row.sequence, "is no ledger entry (any more)")]
        self.model = self.model or entry.model
        found += self._edited(entry, row.sequence, linked=not gap)
        found += self._displaced(entry, row)
        return entry, found

    def close(self) -> list[AuditIssue]:
        """Problems of the end, after the last row."""
        head = self._head
        if head is None:
            return [self.finding(AuditProblem.HEAD, None, "the ledger has no head: it was removed")]
        if head.sequence > self._last:
            return [self._missing(self._last + 1, head.sequence)]
        if head.sequence < self._last:
            behind = f"the head ends at entry {head.sequence}, and {self._last} are there"
            return [self.finding(AuditProblem.HEAD, head.sequence, behind)]
        if self._follows and head.hash not in self._follows:
            return [self.finding(AuditProblem.HEAD, head.sequence, "the head is not that of the newest entry")]
        return []

    def finding(self, what: AuditProblem, sequence: int | None, message: str) -> AuditIssue:
        """A finding about this ledger."""
        return AuditIssue(what, self.model, self.model_uid, sequence, message)

    def _edited(self, entry: LedgerEntry, sequence: int, *, linked: bool) -> list[AuditIssue]:
        found = []
        made = hash_of(entry.as_dict())
        if made != entry.hash:
            found.append(self.finding(AuditProblem.EDITED, sequence, "is not what its hash was made of"))
        if linked and self._follows and entry.previous_hash not in self._follows:
            found.append(self.finding(AuditProblem.LINK, sequence, "does not follow from the one before it"))
        # the entry after an edited one may follow correctly: one edit is one finding
        self._follows, self.last_hash = {entry.hash, made}, entry.hash
        return found

    def _displaced(self, entry: LedgerEntry, row: Row[Any]) -> list[AuditIssue]:
        found = []
        if (entry.sequence, entry.model) != (row.sequence, self.model):
            message = f"is entry {entry.sequence} of {entry.model!r}, and does not belong here"
            found.append(self.finding(AuditProblem.STRANGER, row.sequence, message))
        told = {"action": str(entry.action), "version": entry.version, "request_key": entry.key or None}
        wrong = [name for name, value in told.items() if getattr(row, name) != value]
        if wrong:
            message = f"is not what its columns say ({', '.join(wrong)})"
            found.append(self.finding(AuditProblem.COLUMN, row.sequence, message))
        return found

    def _missing(self, first: int, last: int) -> AuditIssue:
        if last < first:  # a number below 1
            return self.finding(AuditProblem.STRANGER, last + 1, "has a number that no entry has")
        if first == last:
            return self.finding(AuditProblem.MISSING, first, "is missing")
        return self.finding(AuditProblem.MISSING, first, f"is missing, and so is every other one up to {last}")


def _entry(text: str) -> LedgerEntry | None:
    """The entry, if the text is spelled as the guard spells it: then no byte of it can change unseen."""
    try:
        return decode(LedgerEntry, text)
    except (ValueError, TypeError):  # SQLite takes bytes, too
        return None
