"""A thousand random edits, drops and swaps of rows by somebody who owns the database: all found.

Whoever also makes every hash and head anew is another matter: see test_audit.py.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from lifecycle.domain.ledger import Action
from lifecycle.domain.text import canonical_json
from lifecycle.promotion.audit import audit
from lifecycle.promotion.database import EVIDENCE, HEADS, LEDGER
from tests.proof import rounds
from tests.unit.promotion.archive import POLICIES, Archive, drop_triggers

SEED = 20261122
ROUNDS = rounds(1000, 200)
NOWHERE = "0" * 64


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    archive = Archive.made(tmp_path_factory.mktemp("archive"))
    archive.live()
    yield archive
    archive.engine.dispose()


class Tamperer:
    """Changes rows at random. Every method changes something, or says that there was nothing to change."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance

    # The ledger

    def edit_a_field_of_an_entry(self) -> None:
        row = self._row(LEDGER)
        fields = json.loads(row.entry)
        name = self._chance.choice(sorted(fields))
        self._set(LEDGER, row, entry=canonical_json(fields | {name: self._other(name, fields[name])}))

    def edit_a_byte_of_an_entry(self) -> None:
        row = self._row(LEDGER)
        self._set(LEDGER, row, entry=self._byte(row.entry))

    def edit_a_column_of_an_entry(self) -> None:
        row = self._row(LEDGER)
        name = self._chance.choice(["action", "version", "request_key", "sequence", "model_uid"])
        self._set(LEDGER, row, **{name: self._other(name, getattr(row, name))})

    def drop_an_entry(self) -> None:
        rows = self._ledger()
        place = self._chance.choice([rows[0], rows[-1], self._chance.choice(rows)])
        self._connection.execute(LEDGER.delete().where(*_same(LEDGER, place)))

    def swap_the_contents_of_two_entries(self) -> None:
        one, other = self._chance.sample(self._ledger(), 2)
        for target, source in ((one, other), (other, one)):
            self._set(LEDGER, target, entry=source.entry)

    def swap_two_entries_and_their_columns(self) -> None:
        one, other = self._chance.sample(self._ledger(), 2)
        self._set(LEDGER, one, sequence=10_000)
        self._connection.execute(update(LEDGER).where(*_same(LEDGER, other)).values(sequence=one.sequence))
        moved = (LEDGER.c.model_uid == one.model_uid, LEDGER.c.sequence == 10_000)
        self._connection.execute(update(LEDGER).where(*moved).values(sequence=other.sequence))

    def swap_the_entries_of_two_models(self) -> None:
        one, other = (self._chance.choice(rows) for rows in self._chance.sample(self._ledgers(), 2))
        for target, source in ((one, other), (other, one)):
            self._set(LEDGER, target, entry=source.entry)

    def move_an_entry_to_another_model(self) -> None:
        row = self._row(LEDGER)
        uid = self._elsewhere(row)
        taken = {r.sequence for r in self._rows(LEDGER) if r.model_uid == uid}
        self._set(LEDGER, row, model_uid=uid, sequence=max(taken, default=0) + 1)

    def repeat_an_entry(self) -> None:
        row = self._row(LEDGER)
        uid = self._chance.choice([row.model_uid, self._elsewhere(row)])
        taken = {r.sequence for r in self._rows(LEDGER) if r.model_uid == uid}
        copy = dict(row._mapping) | {"model_uid": uid, "sequence": max(taken, default=0) + 1, "request_key": None}
        self._connection.execute(insert(LEDGER).values(**copy))

    # The heads

    def edit_a_head(self) -> None:
        row = self._row(HEADS)
        name = self._chance.choice(["model_uid", "model", "sequence", "hash"])
        self._set(HEADS, row, **{name: self._other(name, getattr(row, name))})

    def drop_a_head(self) -> None:
        self._connection.execute(HEADS.delete().where(*_same(HEADS, self._row(HEADS))))

    def swap_two_heads(self) -> None:
        one, other = self._chance.sample(self._rows(HEADS), 2)
        for target, source in ((one, other), (other, one)):
            self._set(HEADS, target, model=source.model, sequence=source.sequence, hash=source.hash)

    def repeat_a_head(self) -> None:
        row = self._row(HEADS)
        self._connection.execute(insert(HEADS).values(**dict(row._mapping) | {"model_uid": NOWHERE}))

    # The evidence that entries name

    def edit_a_byte_of_evidence(self) -> None:
        row = self._named()
        self._set(EVIDENCE, row, signed=self._byte(row.signed))

    def edit_a_column_of_evidence(self) -> None:
        row = self._named()
        name = self._chance.choice(["version", "stage", "evidence_id"])
        self._set(EVIDENCE, row, **{name: self._other(name, getattr(row, name))})

    def move_evidence_to_another_model(self) -> None:
        row = self._named()
        self._set(EVIDENCE, row, model_uid=self._elsewhere(row))

    def drop_evidence(self) -> None:
        self._connection.execute(EVIDENCE.delete().where(*_same(EVIDENCE, self._named())))

    def swap_the_contents_of_two_records_of_evidence(self) -> None:
        one, other = self._chance.sample(self._rows(EVIDENCE), 2)
        for target, source in ((one, other), (other, one)):
            self._set(EVIDENCE, target, signed=source.signed)

    # At random

    def _rows(self, table: Any) -> list[Any]:
        return list(self._connection.execute(select(table).order_by(*table.primary_key.columns)).all())

    def _elsewhere(self, row: Any) -> str:
        return self._chance.choice(sorted({r.model_uid for r in self._rows(LEDGER)} - {row.model_uid} | {NOWHERE}))

    def _row(self, table: Any) -> Any:
        return self._chance.choice(self._rows(table))

    def _ledgers(self) -> list[list[Any]]:
        rows = self._rows(LEDGER)
        return [[r for r in rows if r.model_uid == uid] for uid in sorted({r.model_uid for r in rows})]

    def _ledger(self) -> list[Any]:
        return self._chance.choice(self._ledgers())

    def _named(self) -> Any:
        ids = {json.loads(row.entry)["evidence_id"] for row in self._rows(LEDGER)}
        return self._chance.choice([row for row in self._rows(EVIDENCE) if row.evidence_id in ids])

    def _set(self, table: Any, row: Any, **values: Any) -> None:
        changed = {name: value for name, value in values.items() if getattr(row, name) != value}
        assert changed, "changed nothing"
        self._connection.execute(update(table).where(*_same(table, row)).values(**values))

    def _byte(self, text: str) -> str:
        at = self._chance.randrange(len(text))
        letters = [chr(code) for code in range(32, 127) if chr(code) != text[at]]
        return text[:at] + self._chance.choice(letters) + text[at + 1 :]

    def _other(self, name: str, value: Any) -> Any:
        """Another value that could stand there."""
        if name == "action":
            return str(self._chance.choice([action for action in Action if action != value]))
        if name == "model_uid":
            return NOWHERE
        if name == "sequence":
            return value + 1000 * self._chance.choice([1, -1])
        if name in ("at", "until") and value:
            return value.replace("2026", "2025")
        if value is None:
            return 7 if name == "previous" else "2026-01-01T00:00:00.000000Z" if name == "until" else "x"
        return value + 1 if isinstance(value, int) else self._text(value)

    def _text(self, value: str) -> str:
        return self._chance.choice([value + "x", value[:-1] or "y", value.swapcase() + " ", "" if value else "z"])


def _same(table: Any, row: Any) -> list[Any]:
    return [column == getattr(row, column.name) for column in table.primary_key.columns]


KINDS: list[Callable[[Tamperer], None]] = [
    method for name, method in vars(Tamperer).items() if not name.startswith("_")
]


@pytest.mark.slow
def test_random_changes_are_all_found(archive):
    found: dict[str, int] = {}
    with archive.engine.connect() as connection:
        drop_triggers(connection)
        connection.commit()
        assert audit(connection, archive.trust, POLICIES).whole
        connection.rollback()
        for number in range(ROUNDS):
            kind = KINDS[number % len(KINDS)]
            kind(Tamperer(connection, random.Random(f"{SEED} {number}")))
            report = audit(connection, archive.trust, POLICIES)
            connection.rollback()
            assert not report.whole, f"{kind.__name__}, seed {SEED}, round {number}: not found"
            found[kind.__name__] = found.get(kind.__name__, 0) + 1
        assert audit(connection, archive.trust, POLICIES).whole
    assert sum(found.values()) == ROUNDS
    assert min(found.values()) >= ROUNDS // len(KINDS) > ROUNDS // 20
