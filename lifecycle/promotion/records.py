"""Ledger, evidence, authors and queued gate runs of one model, read and written in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from lifecycle.codec import decode
from lifecycle.domain.gate_queue import Claim, ClaimResult, Lease, WaitingPromotion, apply_claim
from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import Conflict, NotFound, NotTrusted
from lifecycle.promotion.database import AUTHORS, EVIDENCE, HEADS, LEDGER, QUEUE
from lifecycle.signing.jws import verify
from lifecycle.signing.trust import Permission, TrustStore


class ModelLedger:
    """One model's ledger in SQL. Appending needs the model's lock; the primary key detects a missing one."""

    def __init__(self, session: Session, model_uid: str, model: str) -> None:
        self._session = session
        self._model_uid = model_uid
        self._model = model

    def entries(self) -> tuple[LedgerEntry, ...]:
        """All entries, oldest first. Refusals can make it long."""
        return self._read(self._entries())

    def decisive(self) -> tuple[LedgerEntry, ...]:
        """The entries that a decision reads, oldest first: all but refusals."""
        return self._read(self._entries().where(LEDGER.c.action != str(Action.REFUSED)))

    def of_version(self, version: int, refusals: int) -> tuple[LedgerEntry, ...]:
        """A version's entries, oldest first, with its newest ``refusals`` refusals."""
        own = self._entries().where(LEDGER.c.version == version)
        refused = own.where(LEDGER.c.action == str(Action.REFUSED)).order_by(None)
        newest = self._read(refused.order_by(LEDGER.c.sequence.desc()).limit(refusals))
        others = self._read(own.where(LEDGER.c.action != str(Action.REFUSED)))
        return tuple(sorted([*newest, *others], key=lambda entry: entry.sequence))

    def with_key(self, key: str) -> LedgerEntry | None:
        """The entry of the request with this idempotency key, or None."""
        found = self._read(self._entries().where(LEDGER.c.request_key == key)) if key else ()
        return found[0] if found else None

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Chain an entry to the ledger's head, or the first one to the model's uid, and write it.

        It is chained to the head, not to the last row: if the newest entries were cut off, the next entry
        shows the gap for ever.
        """
        head = self._session.execute(select(HEADS).where(HEADS.c.model_uid == self._model_uid)).first()
        newest = self._session.execute(
            select(func.max(LEDGER.c.sequence)).where(LEDGER.c.model_uid == self._model_uid)
        ).scalar()
        sequence = 1 + max(newest or 0, head.sequence if head else 0)
        # MySQL finds a model in any letter case, so the entry may spell its name in another.
        numbered = replace(entry, sequence=sequence, model=self._model)
        sealed = numbered.with_hash(head.hash if head else self._model_uid)
        self._session.execute(
            insert(LEDGER).values(
                model_uid=self._model_uid,
                sequence=sealed.sequence,
                action=str(sealed.action),
                version=sealed.version,
                request_key=sealed.key or None,
                entry=sealed.to_json(),
            )
        )
        self._session.execute(delete(HEADS).where(HEADS.c.model_uid == self._model_uid))
        self._session.execute(
            insert(HEADS).values(
                model_uid=self._model_uid, model=self._model, sequence=sealed.sequence, hash=sealed.hash
            )
        )
        return sealed

    def _entries(self) -> Select[str]:
        return select(LEDGER.c.entry).where(LEDGER.c.model_uid == self._model_uid).order_by(LEDGER.c.sequence)

    def _read(self, query: Select[str]) -> tuple[LedgerEntry, ...]:
        return tuple(decode(LedgerEntry, text) for text in self._session.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class OnRecord:
    """Recorded evidence of a version and stage.

    Attributes:
        trusted: Evidence with a valid signature, newest last.
        distrusted: Number of others: their key was revoked, or the table was changed.
    """

    trusted: tuple[Evidence, ...]
    distrusted: int


class ModelEvidence:
    """The evidence of one model in SQL."""

    def __init__(self, session: Session, model_uid: str, trust: TrustStore) -> None:
        self._session = session
        self._model_uid = model_uid
        self._trust = trust

    def record(self, evidence: Evidence, signed: str, received_from: str) -> None:
        """Record signed evidence. The same evidence again changes nothing."""
        known = select(EVIDENCE.c.id).where(*self._about(evidence.version, evidence.stage))
        if self._session.execute(known.where(EVIDENCE.c.evidence_id == evidence.evidence_id)).first():
            return
        self._session.execute(
            insert(EVIDENCE).values(
                model_uid=self._model_uid,
                version=evidence.version,
                stage=evidence.stage,
                evidence_id=evidence.evidence_id,
                signed=signed,
                received_from=received_from,
            )
        )

    def is_there(self, version: int, stage: str) -> bool:
        """Whether there is any evidence for a version and policy stage, valid or not."""
        query = select(EVIDENCE.c.id).where(*self._about(version, stage)).limit(1)
        return self._session.execute(query).first() is not None

    def signed(self, version: int, stage: str, evidence_id: str | None) -> str | None:
        """Signed evidence by its id, or None."""
        query = select(EVIDENCE.c.signed).where(*self._about(version, stage))
        return self._session.execute(query.where(EVIDENCE.c.evidence_id == evidence_id)).scalar()

    def of(self, version: int, stage: str) -> OnRecord:
        """All evidence of a version and policy stage. Signatures are verified again, as keys may be revoked."""
        query = select(EVIDENCE.c.signed).where(*self._about(version, stage)).order_by(EVIDENCE.c.id)
        texts = self._session.execute(query).scalars().all()
        trusted = [evidence for text in texts if (evidence := self._verified(text, version, stage))]
        return OnRecord(tuple(trusted), len(texts) - len(trusted))

    def _verified(self, text: str, version: int, stage: str) -> Evidence | None:
        try:
            evidence = decode(Evidence, verify(text, Permission.EVIDENCE, self._trust)[0])
        except (NotTrusted, ValueError):
            return None
        return evidence if (evidence.version, evidence.stage) == (version, stage) else None

    def _about(self, version: int, stage: str) -> tuple[ColumnElement[bool], ...]:
        return (
            EVIDENCE.c.model_uid == self._model_uid,
            EVIDENCE.c.version == version,
            EVIDENCE.c.stage == stage,
        )


def record_author(session: Session, model_uid: str, version: int, author: str) -> None:
    """Record the authenticated user who registered a version."""
    if author != UNAUTHENTICATED:
        session.execute(insert(AUTHORS).values(model_uid=model_uid, version=version, author=author))


def author_of(session: Session, model_uid: str, version: int) -> str | None:
    """The user who registered a version; None if unknown."""
    query = select(AUTHORS.c.author).where(AUTHORS.c.model_uid == model_uid, AUTHORS.c.version == version)
    return session.execute(query).scalar()


class GateQueue:
    """The open gate runs of one model: at most one per version and stage."""

    def __init__(self, session: Session, model_uid: str) -> None:
        self._session = session
        self._model_uid = model_uid

    def add(self, request: PromotionRequest, stage: str, actor: str, now: datetime) -> bool:
        """Queue a gate run; returns False when one is queued already."""
        if self._open(request.version, stage) is not None:
            return False
        self._session.execute(
            insert(QUEUE).values(
                model_uid=self._model_uid,
                version=request.version,
                stage=stage,
                actor=actor,
                request=request.to_json(),
                queued_at=_naive(now),
                starts=0,
            )
        )
        return True

    def claim(self, version: int, stage: str, text: str, now: datetime) -> ClaimResult:
        """Apply a worker's report to a gate run, as :mod:`lifecycle.domain.gate_queue` says.

        Args:
            text: The worker's report.

        Raises:
            UsageError: the text is not a worker's report.
            NotFound: no gate run is queued.
            Conflict: another worker has it.
        """
        claim, row = Claim.parse(text), self._open(version, stage)
        if row is None:
            raise NotFound(f"no gate run of version {version} is queued for {stage}")
        until = row.leased_until and row.leased_until.replace(tzinfo=UTC)
        try:
            answered = apply_claim(Lease(row.worker, until, row.starts), claim, now)
        except Conflict as exc:
            raise Conflict(f"version {version} for {stage}: {exc}") from None
        self._write(row, answered.lease, now)
        return answered

    def finish(self, version: int, stage: str, now: datetime) -> WaitingPromotion | None:
        """Close a gate run whose evidence has arrived; returns it, or None if none was queued."""
        row = self._open(version, stage)
        if row is None:
            return None
        self._write(row, None, now)
        return WaitingPromotion(replace(decode(PromotionRequest, row.request), stage=stage), row.actor)

    def _write(self, row: Row[Any], lease: Lease | None, now: datetime) -> None:
        values: dict[str, Any] = {"finished_at": _naive(now)}
        if lease is not None:
            until = lease.until and _naive(lease.until)
            values = {"worker": lease.run, "leased_until": until, "starts": lease.starts}
        self._session.execute(update(QUEUE).where(QUEUE.c.id == row.id).values(**values))

    def _open(self, version: int, stage: str) -> Row[Any] | None:
        return self._session.execute(
            select(QUEUE).where(
                QUEUE.c.model_uid == self._model_uid,
                QUEUE.c.version == version,
                QUEUE.c.stage == stage,
                QUEUE.c.finished_at.is_(None),
            )
        ).first()


def _naive(moment: datetime) -> datetime:
    """UTC without a zone, which SQLite and MySQL do not store."""
    return moment.astimezone(UTC).replace(tzinfo=None)
