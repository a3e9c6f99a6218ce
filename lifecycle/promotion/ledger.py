"""The ledger of one model, in the caller's transaction."""

from __future__ import annotations

import json
from dataclasses import replace

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session

from lifecycle.domain.canonical import canonical_json
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.promotion.tables import HEADS, LEDGER


class ModelLedger:
    """Append and read. Whoever appends holds the model's lock; the primary key catches who does not."""

    def __init__(self, session: Session, model_uid: str, model: str) -> None:
        self._session = session
        self._model_uid = model_uid
        self._model = model

    def entries(self) -> tuple[LedgerEntry, ...]:
        """All of it, oldest first. Anybody can make it long by being refused."""
        return self._read(self._entries())

    def decisive(self) -> tuple[LedgerEntry, ...]:
        """All that a decision looks at, oldest first: everything but the refusals."""
        return self._read(self._entries().where(LEDGER.c.action != str(Action.REFUSED)))

    def of_version(self, version: int, refusals: int) -> tuple[LedgerEntry, ...]:
        """A version's entries, oldest first, the newest ``refusals`` of those included."""
        own = self._entries().where(LEDGER.c.version == version)
        refused = own.where(LEDGER.c.action == str(Action.REFUSED)).order_by(None)
        newest = self._read(refused.order_by(LEDGER.c.sequence.desc()).limit(refusals))
        others = self._read(own.where(LEDGER.c.action != str(Action.REFUSED)))
        return tuple(sorted([*newest, *others], key=lambda entry: entry.sequence))

    def with_key(self, key: str) -> LedgerEntry | None:
        """The entry of the request with that idempotency key."""
        found = self._read(self._entries().where(LEDGER.c.request_key == key)) if key else ()
        return found[0] if found else None

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Seal an entry behind the ledger's head, the first one behind the model's uid, and write it.

        Behind the head and not behind what lies there: where somebody has cut off the newest entries, what comes
        after shows the gap for good.
        """
        head = self._session.execute(select(HEADS).where(HEADS.c.model_uid == self._model_uid)).first()
        newest = self._session.execute(
            select(func.max(LEDGER.c.sequence)).where(LEDGER.c.model_uid == self._model_uid)
        ).scalar()
        sequence = 1 + max(newest or 0, head.sequence if head else 0)
        # MySQL finds a model in any letter case, so the entry may spell its name in another.
        numbered = replace(entry, sequence=sequence, model=self._model)
        sealed = numbered.sealed(head.hash if head else self._model_uid)
        self._session.execute(
            insert(LEDGER).values(
                model_uid=self._model_uid,
                sequence=sealed.sequence,
                action=str(sealed.action),
                version=sealed.version,
                request_key=sealed.key or None,
                entry=canonical_json(sealed.as_dict()),
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
        return tuple(LedgerEntry.from_dict(json.loads(text)) for text in self._session.execute(query).scalars())
