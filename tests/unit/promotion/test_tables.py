"""The guard's tables: order, chain, no second copy, nothing inherited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import GENESIS, Action, LedgerEntry
from lifecycle.promotion.evidence import ModelEvidence
from lifecycle.promotion.ledger import ModelLedger
from lifecycle.promotion.tables import create_tables, model_uid

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WINE = model_uid("default", "wine", 1)
EVIDENCE = Evidence("wine", 1, "staging", "d" * 64, "a" * 64, (), NOW, NOW + timedelta(days=7))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    create_tables(engine)
    with Session(engine) as session:
        yield session


def entry(number: int, previous_hash: str = GENESIS) -> LedgerEntry:
    return LedgerEntry(number, NOW, Action.PROMOTED, "wine", "staging", 1, reason="ünïcode").sealed(previous_hash)


def test_several_workers_may_create_the_tables_at_once(engine):
    errors: list[BaseException] = []

    def create() -> None:
        try:
            create_tables(engine)
        except BaseException as exc:  # any error of a thread is the test's
            errors.append(exc)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {"lifecycle_evidence", "lifecycle_ledger"} <= set(inspect(engine).get_table_names())


def test_entries_come_back_as_they_went_in_and_in_order(session):
    first = entry(1)
    second = entry(2, first.hash)
    ledger = ModelLedger(session, WINE)
    ledger.append(first)
    ledger.append(second)
    assert ledger.entries() == (first, second)


def test_a_number_is_given_once(session):
    ledger = ModelLedger(session, WINE)
    ledger.append(entry(1))
    with pytest.raises(IntegrityError):
        ledger.append(entry(1))


def test_evidence_comes_back_newest_last_and_once(session):
    older, newer = EVIDENCE, replace(EVIDENCE, created_at=NOW + timedelta(hours=1))
    shelf = ModelEvidence(session, WINE)
    for evidence in (older, newer, older):
        shelf.record(evidence, "ada")
    assert shelf.of(1, "staging") == (older, newer)
    assert shelf.of(2, "staging") == shelf.of(1, "production") == ()


@pytest.mark.parametrize(
    "other", [("default", "wine", 2), ("default", "beer", 1), ("team", "wine", 1), ("defaultw", "ine", 1)]
)
def test_another_model_inherits_nothing(session, other):
    ModelEvidence(session, WINE).record(EVIDENCE, "ada")
    ModelLedger(session, WINE).append(entry(1))
    assert ModelEvidence(session, model_uid(*other)).of(1, "staging") == ()
    assert ModelLedger(session, model_uid(*other)).entries() == ()
