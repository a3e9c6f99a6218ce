"""The guard's tables: order, chain, no second copy, nothing inherited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, insert, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from lifecycle.domain.ledger import GENESIS, UNAUTHENTICATED, Action, LedgerEntry, broken_links
from lifecycle.domain.verdict import Evidence
from lifecycle.promotion.database import HEADS, LEDGER, create_tables, model_uid
from lifecycle.promotion.records import ModelEvidence, ModelLedger, OnRecord, author_of, record_author
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WINE = model_uid("default", "wine", 1)
KEY = SigningKey.generate()
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


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    store = TrustStore(tmp_path / "trusted.json")
    store.trust(KEY, "ci", [Permission.EVIDENCE], NOW)
    return store


def signed(evidence: Evidence) -> str:
    return sign(KEY, Permission.EVIDENCE, evidence.to_json())


def entry(number: int, previous_hash: str = GENESIS) -> LedgerEntry:
    return LedgerEntry(number, NOW, Action.PROMOTED, "wine", "staging", 1, reason="ünïcode").with_hash(
        previous_hash
    )


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
    first = entry(1, WINE)
    second = entry(2, first.hash)
    ledger = ModelLedger(session, WINE, "wine")
    ledger.append(first)
    ledger.append(second)
    assert ledger.entries() == (first, second)


def test_whoever_appends_gets_the_next_number_and_the_link_whatever_they_say(session):
    ledger = ModelLedger(session, WINE, "wine")
    written = [ledger.append(replace(entry(7), reason=reason)) for reason in ("first", "second")]
    assert [e.sequence for e in written] == [1, 2]
    assert ledger.entries() == tuple(written)
    assert broken_links(written) == []


@pytest.mark.parametrize("same", ["sequence", "request_key"])
def test_a_number_or_a_key_is_given_once_even_to_those_who_hold_no_lock(session, same):
    row = {"model_uid": WINE, "sequence": 1, "action": "PROMOTED", "version": 1, "request_key": "k", "entry": "{}"}
    other = {"sequence": 2, "request_key": "l"} | {same: row[same]}
    session.execute(insert(LEDGER).values(**row))
    with pytest.raises(IntegrityError):
        session.execute(insert(LEDGER).values(**row | other))


def test_requests_without_a_key_do_not_get_in_each_others_way(session):
    ledger = ModelLedger(session, WINE, "wine")
    for _ in range(2):
        ledger.append(entry(1))
    assert ledger.with_key("") is None


def test_the_head_says_how_long_the_ledger_is(session):
    ledger = ModelLedger(session, WINE, "wine")
    for _ in range(3):
        last = ledger.append(entry(1))
    (head,) = session.execute(select(HEADS)).all()
    assert (head.model_uid, head.model, head.sequence, head.hash) == (WINE, "wine", 3, last.hash)


def test_refusals_are_left_out_of_decisions_and_only_the_newest_are_shown(session):
    ledger = ModelLedger(session, WINE, "wine")
    refusal = replace(entry(1), action=Action.REFUSED)
    for each in (entry(1), refusal, replace(refusal, version=2), refusal, refusal, entry(1)):
        ledger.append(each)
    assert [e.sequence for e in ledger.decisive()] == [1, 6]
    assert [e.sequence for e in ledger.of_version(1, refusals=2)] == [1, 4, 5, 6]
    assert [e.sequence for e in ledger.of_version(2, refusals=2)] == [3]


def test_evidence_of_a_key_that_was_revoked_stays_and_counts_no_more(session, trust):
    shelf = ModelEvidence(session, WINE, trust)
    shelf.record(EVIDENCE, signed(EVIDENCE), "ada")
    trust.revoke("ci", NOW)
    assert shelf.of(1, "staging") == OnRecord((), 1)
    trust.trust(KEY, "ci", [Permission.EVIDENCE], NOW)
    assert shelf.of(1, "staging") == OnRecord((EVIDENCE,), 0)


@pytest.mark.parametrize("other", [{"version": 2}, {"stage": "production"}])
def test_evidence_that_was_put_in_anothers_place_does_not_count(session, trust, other):
    ModelEvidence(session, WINE, trust).record(EVIDENCE, signed(replace(EVIDENCE, **other)), "ada")
    assert ModelEvidence(session, WINE, trust).of(1, "staging") == OnRecord((), 1)


@pytest.mark.parametrize("text", ["", "{}", EVIDENCE.to_json(), "a.b.c", "x" * 100_000])
def test_what_somebody_wrote_into_the_table_by_hand_is_no_evidence_and_no_error(session, trust, text):
    ModelEvidence(session, WINE, trust).record(EVIDENCE, text, "ada")
    assert ModelEvidence(session, WINE, trust).of(1, "staging") == OnRecord((), 1)


def test_authors_are_those_who_were_authenticated(session):
    record_author(session, WINE, 1, "ada")
    record_author(session, WINE, 2, UNAUTHENTICATED)
    assert [author_of(session, WINE, version) for version in (1, 2, 3)] == ["ada", None, None]
    assert author_of(session, model_uid("default", "wine", 2), 1) is None


def test_evidence_comes_back_newest_last_and_once(session, trust):
    older, newer = EVIDENCE, replace(EVIDENCE, created_at=NOW + timedelta(hours=1))
    shelf = ModelEvidence(session, WINE, trust)
    for evidence in (older, newer, older):
        shelf.record(evidence, signed(evidence), "ada")
    assert shelf.of(1, "staging") == OnRecord((older, newer), 0)
    assert shelf.of(2, "staging") == shelf.of(1, "production") == OnRecord((), 0)


@pytest.mark.parametrize(
    "other", [("default", "wine", 2), ("default", "beer", 1), ("team", "wine", 1), ("defaultw", "ine", 1)]
)
def test_another_model_inherits_nothing(session, trust, other):
    ModelEvidence(session, WINE, trust).record(EVIDENCE, signed(EVIDENCE), "ada")
    ModelLedger(session, WINE, "wine").append(entry(1))
    assert ModelEvidence(session, model_uid(*other), trust).of(1, "staging") == OnRecord((), 0)
    assert ModelLedger(session, model_uid(*other), other[1]).entries() == ()
