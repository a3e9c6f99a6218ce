"""The ledger of one model, in the caller's transaction."""

from __future__ import annotations

import json

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lifecycle.domain.canonical import canonical_json
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.promotion.tables import LEDGER


class ModelLedger:
    """Append and read. Whoever appends holds the model's lock; the primary key catches who does not."""

    def __init__(self, session: Session, model_uid: str) -> None:
        self._session = session
        self._model_uid = model_uid

    def entries(self) -> tuple[LedgerEntry, ...]:
        """Oldest first."""
        rows = self._session.execute(
            select(LEDGER.c.entry).where(LEDGER.c.model_uid == self._model_uid).order_by(LEDGER.c.sequence)
        )
        return tuple(LedgerEntry.from_dict(json.loads(text)) for text in rows.scalars())

    def append(self, entry: LedgerEntry) -> None:
        """Write a sealed entry."""
        self._session.execute(
            insert(LEDGER).values(
                model_uid=self._model_uid,
                sequence=entry.sequence,
                entry=canonical_json(entry.as_dict()),
            )
        )
