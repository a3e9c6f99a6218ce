"""Gate runs that refused promotions have asked for, until a worker has done them. In the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from lifecycle.domain.promotion import PromotionRequest
from lifecycle.errors import Conflict, NotFound
from lifecycle.promotion.tables import QUEUE

LEASE = timedelta(minutes=2)
"""How long a worker has a gate run for itself before it has to say that it is still at it."""

MOST_STARTS = 3
"""A gate run that took three workers down is given up."""


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

    def add(self, request: PromotionRequest, stage: str, actor: str, now: datetime) -> None:
        """Queue a gate run, unless one is queued already."""
        if self._open(request.version, stage) is not None:
            return
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

    def claim(self, version: int, stage: str, worker: str, now: datetime) -> bool:
        """Give a gate run to a worker, or let it keep it for another :data:`LEASE`.

        Returns:
            Whether the worker has it; False where it was begun :data:`MOST_STARTS` times and is given up now.

        Raises:
            NotFound: none is queued.
            Conflict: another worker has it.
        """
        row = self._open(version, stage)
        if row is None:
            raise NotFound(f"no gate run of version {version} is queued for {stage}")
        held = row.leased_until is not None and _naive(now) < row.leased_until
        if held and row.worker != worker:
            raise Conflict(f"worker {row.worker} runs the gates of version {version} for {stage} already")
        starts = row.starts if held else row.starts + 1
        given_up = starts > MOST_STARTS
        lease = {"worker": worker, "leased_until": _naive(now + LEASE), "starts": starts}
        values = {"finished_at": _naive(now)} if given_up else lease
        self._session.execute(update(QUEUE).where(QUEUE.c.id == row.id).values(**values))
        return not given_up

    def finish(self, version: int, stage: str, now: datetime) -> QueuedRun | None:
        """Close a gate run, whose evidence has come in; returns it, or None where nobody waited."""
        row = self._open(version, stage)
        if row is None:
            return None
        self._session.execute(update(QUEUE).where(QUEUE.c.id == row.id).values(finished_at=_naive(now)))
        return QueuedRun(row.actor, PromotionRequest.from_json(row.request))

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
    """Without a zone, which SQLite and MySQL don't keep."""
    return moment.astimezone(UTC).replace(tzinfo=None)
