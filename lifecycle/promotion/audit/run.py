"""The audit of a whole database, or of one model: one pass over the evidence and one over the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.tenure import Occupancy
from lifecycle.errors import NotFound, unknown
from lifecycle.promotion.audit.chain import Chain, Head
from lifecycle.promotion.audit.earlier import Comparison
from lifecycle.promotion.audit.evidence import EvidenceAudit
from lifecycle.promotion.audit.export import Earlier
from lifecycle.promotion.audit.findings import AuditReport, Broken, Finding, LedgerSeen
from lifecycle.promotion.audit.outside import gone, outside_changes
from lifecycle.promotion.mlflow_tables import RegisteredModel, registered_models
from lifecycle.promotion.tables import EVIDENCE, HEADS, LEDGER
from lifecycle.signing.trust import TrustStore

Progress = Callable[[int, int], None]
"""Is told how many entries are done, of how many."""

_PAGE = 500


def audit(
    connection: Connection,
    trust: TrustStore,
    policies: PolicyBook,
    model: str | None = None,
    earlier: Earlier | None = None,
    progress: Progress = lambda _done, _all: None,
) -> AuditReport:
    """Look at everything that is on record, in a connection that sees one moment of the database.

    Args:
        trust: The keys that were ever trusted; a signature by another can't be checked.
        policies: Which stages are guarded today.
        model: Only this one, by whatever ledgers its name has had.
        earlier: An export, of which today's ledger has to be the continuation.

    Raises:
        NotFound: nothing is on record about that model.
    """
    known = _known(connection, policies, model)
    work = _Pass(known, policies, EvidenceAudit(trust, known.names), Comparison(earlier or Earlier(), known.names))
    for row in _rows(connection, EVIDENCE, known.scope):
        work.record(row)
    entries = _counted(_rows(connection, LEDGER, known.scope), _number(connection, known.scope), progress)
    for uid, rows in groupby(entries, key=lambda row: str(row.model_uid)):
        work.ledger(uid, rows)
    return work.report()


@dataclass(frozen=True, slots=True)
class _Known:
    """What there is to look at.

    Attributes:
        names: Of the models by uid, as far as MLflow or a head tells them.
        scope: The uids to look at; None for all.
    """

    heads: Mapping[str, Head]
    models: Mapping[str, RegisteredModel]
    names: Mapping[str, str]
    scope: frozenset[str] | None


@dataclass
class _Pass:
    """One pass over everything, record by record and entry by entry."""

    known: _Known
    policies: PolicyBook
    evidence: EvidenceAudit
    comparison: Comparison
    breaks: list[Finding] = field(default_factory=list)
    ledgers: list[LedgerSeen] = field(default_factory=list)

    def record(self, row: Row[Any]) -> None:
        """Look at a record of evidence."""
        self.comparison.evidence(row)
        self.breaks += self.evidence.look_at(row)

    def ledger(self, uid: str, rows: Iterable[Row[Any]]) -> None:
        """Look at a ledger, from its first entry to its last; evidence comes before."""
        chain, occupancy = Chain(uid, self.known.heads.get(uid)), Occupancy()
        for row in rows:
            entry, found = chain.follow(row)
            self.breaks += found
            if entry is None:
                continue
            self.comparison.entry(uid, row.sequence, entry.hash)
            if problem := self.evidence.problem(uid, entry):
                self.breaks.append(chain.finding(Broken.UNFOUNDED, row.sequence, problem))
            occupancy.follow(entry)
        if chain.entries or uid in self.known.heads:
            self.breaks += chain.close()
            self.ledgers.append(LedgerSeen(chain.model, uid, chain.entries, chain.last_hash))
        self.breaks += [
            Finding(Broken.OUTSIDE, self.known.names.get(uid, chain.model), uid, None, message)
            for message in self._outside(uid, occupancy)
        ]

    def report(self) -> AuditReport:
        """What came of it; looks at what has no entries, too."""
        seen = {ledger.model_uid for ledger in self.ledgers}
        for uid in sorted({*self.known.heads, *self.known.models} - seen):
            if self.known.scope is None or uid in self.known.scope:
                self.ledger(uid, ())
        self.breaks += self.comparison.differences(self.known.scope)
        return AuditReport(self.ledgers, self.evidence.count, self.breaks, self.evidence.notes())

    def _outside(self, uid: str, occupancy: Occupancy) -> Iterable[str]:
        model = self.known.models.get(uid)
        if model is None:
            return gone(occupancy)
        return outside_changes(model, occupancy, self.policies.of(model.name))


def _known(connection: Connection, policies: PolicyBook, model: str | None) -> _Known:
    heads = {h.model_uid: Head(h.model, h.sequence, h.hash) for h in connection.execute(select(HEADS))}
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
    query = select(table).order_by(table.c.model_uid, *table.primary_key.columns)
    wanted = query if scope is None else query.where(table.c.model_uid.in_(sorted(scope)))
    yield from connection.execute(wanted, execution_options={"yield_per": _PAGE})


def _number(connection: Connection, scope: frozenset[str] | None) -> int:
    query = select(func.count()).select_from(LEDGER)
    wanted = query if scope is None else query.where(LEDGER.c.model_uid.in_(sorted(scope)))
    return connection.execute(wanted).scalar_one()


def _counted(rows: Iterator[Row[Any]], number: int, progress: Progress) -> Iterator[Row[Any]]:
    for done, row in enumerate(rows, start=1):
        yield row
        if done % _PAGE == 0:
            progress(done, number)
