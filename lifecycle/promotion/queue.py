"""Gate runs that refused promotions have asked for, until a worker has done them. In the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from lifecycle.domain.gate_claim import Answer, Claim, Lease, answer
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.errors import Conflict, NotFound
from lifecycle.promotion.tables import QUEUE


@dataclass(frozen=True, slots=True)
class QueuedRun:
    """A gate run that somebody waits for.

    Attributes:
        actor: Whose refused promotion asked for it.
        request: That promotion.
    """

    actor: str
    request: PromotionRequest


class GateQueue:
    """The open gate runs of one model: at most one for each version and stage."""

    def __init__(self, session: Session, model_uid: str) -> None:
        self._session = session
        self._model_uid = model_uid

    def add(self, request: PromotionRequest, stage: str, actor: str, now: datetime) -> bool:
        """Queue a gate run; returns whether it is new, or one is queued already."""
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

    def claim(self, version: int, stage: str, text: str, now: datetime) -> Answer:
        """Give a gate run to a worker, let it keep it, or take it back. See :mod:`lifecycle.domain.gate_claim`.

        Args:
            text: What the worker says.

        Raises:
            UsageError: that is nothing that a worker says.
            NotFound: none is queued.
            Conflict: another worker has it.
        """
        claim, row = Claim.parse(text), self._open(version, stage)
        if row is None:
            raise NotFound(f"no gate run of version {version} is queued for {stage}")
        try:
            answered = answer(_lease(row), claim, now)
        except Conflict as exc:
            raise Conflict(f"version {version} for {stage}: {exc}") from None
        self._write(row, answered.lease, now)
        return answered

    def finish(self, version: int, stage: str, now: datetime) -> QueuedRun | None:
        """Close a gate run, whose evidence has come in; returns it, or None where nobody waited."""
        row = self._open(version, stage)
        if row is None:
            return None
        self._write(row, None, now)
        return QueuedRun(row.actor, PromotionRequest.from_json(row.request))

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


def _lease(row: Row[Any]) -> Lease:
    return Lease(row.worker, row.leased_until and row.leased_until.replace(tzinfo=UTC), row.starts)


def _naive(moment: datetime) -> datetime:
    """Without a zone, which SQLite and MySQL don't keep."""
    return moment.astimezone(UTC).replace(tzinfo=None)
