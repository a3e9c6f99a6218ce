"""One open gate run for each version and stage, with one worker at a time, and an end to every one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from lifecycle.domain.gate_queue import LEASE, MOST_STARTS, Claim, ClaimAction
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.errors import Conflict, NotFound, UsageError
from lifecycle.promotion.database import QUEUE, create_tables
from lifecycle.promotion.records import GateQueue

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REQUEST = PromotionRequest("wine", 1, "production", reason="it is better")


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    create_tables(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def queue(session: Session) -> GateQueue:
    return GateQueue(session, "wine's uid")


@pytest.fixture
def waiting(queue: GateQueue) -> GateQueue:
    queue.add(REQUEST, "production", "ada", NOW)
    return queue


def rows(session: Session) -> int:
    return session.execute(select(func.count()).select_from(QUEUE)).scalar_one()


def test_what_is_asked_again_and_again_is_queued_once(queue, session):
    assert queue.add(REQUEST, "production", "ada", NOW)
    for _ in range(50):
        assert not queue.add(REQUEST, "production", "mallory", NOW)
    assert rows(session) == 1
    assert queue.finish(1, "production", NOW).actor == "ada"


def test_versions_stages_and_models_have_one_each(queue, session):
    for version in (1, 2):
        for stage in ("staging", "production"):
            assert queue.add(PromotionRequest("wine", version, stage), stage, "ada", NOW)
    other = GateQueue(session, "beer's uid")
    assert other.add(REQUEST, "production", "ada", NOW)
    assert rows(session) == 5
    queue.finish(1, "production", NOW)
    assert other.claim(1, "production", "w1", NOW).granted


def test_it_ends_with_who_asked_and_what_for_and_can_be_asked_for_anew(waiting):
    run = waiting.finish(1, "production", NOW)
    assert (run.actor, run.request) == ("ada", REQUEST)
    assert waiting.finish(1, "production", NOW) is None
    assert waiting.add(REQUEST, "production", "bob", NOW)


def test_a_worker_has_it_alone_for_as_long_as_it_says_so(waiting):
    assert waiting.claim(1, "production", "w1:a", NOW).shown == "RUNNING by w1:a"
    now = NOW
    for _ in range(MOST_STARTS + 2):
        now += LEASE - timedelta(seconds=1)
        with pytest.raises(Conflict, match="worker w1:a runs the gates already"):
            waiting.claim(1, "production", "w2:b", now)
        assert waiting.claim(1, "production", "w1:a", now).granted


def test_a_worker_that_died_is_followed_by_another_after_its_lease(waiting):
    waiting.claim(1, "production", "w1:a", NOW)
    assert waiting.claim(1, "production", "w2:b", NOW + LEASE).shown == "RUNNING by w2:b"
    with pytest.raises(Conflict, match="worker w2:b"):
        waiting.claim(1, "production", "w1:a", NOW + LEASE)


def test_what_takes_three_workers_down_is_given_up_and_says_so(waiting):
    for start in range(MOST_STARTS):
        assert waiting.claim(1, "production", f"w:{start}", NOW + start * LEASE).granted
    answer = waiting.claim(1, "production", "w:9", NOW + MOST_STARTS * LEASE)
    assert not answer.granted
    assert answer.shown == "GIVEN UP: 3 workers ended without a verdict"
    with pytest.raises(NotFound):
        waiting.claim(1, "production", "w:10", NOW + MOST_STARTS * LEASE)
    assert waiting.add(REQUEST, "production", "ada", NOW)


def test_gates_that_cannot_be_run_say_why_and_wait_before_the_next_try(waiting):
    for number in range(1, MOST_STARTS):
        now = NOW + number * LEASE
        waiting.claim(1, "production", f"w:{number}", now)
        shown = waiting.claim(1, "production", f"w:{number} failed: no such file: july.parquet", now).shown
        assert shown == f"QUEUED, could not be run ({number} of 3 tries): no such file: july.parquet"
        with pytest.raises(Conflict, match="try again after"):
            waiting.claim(1, "production", "w:soon", now)
    now = NOW + MOST_STARTS * LEASE
    waiting.claim(1, "production", "w:3", now)
    answer = waiting.claim(1, "production", "w:3 failed: no such file: july.parquet", now)
    assert answer.granted
    assert answer.shown == "GIVEN UP after 3 tries: no such file: july.parquet"
    assert waiting.finish(1, "production", now) is None


def test_a_worker_that_is_told_to_stop_gives_it_back_and_that_is_no_try(waiting):
    for number in range(3 * MOST_STARTS):
        waiting.claim(1, "production", f"w:{number}", NOW)
        assert waiting.claim(1, "production", f"w:{number} released", NOW).shown == "QUEUED"
    assert waiting.claim(1, "production", "w:last", NOW).granted


@pytest.mark.parametrize("said", ["w2:b released", "w2:b failed: because"])
def test_nobody_gives_back_what_another_has(waiting, said):
    with pytest.raises(Conflict, match="no worker runs"):
        waiting.claim(1, "production", said, NOW)
    waiting.claim(1, "production", "w1:a", NOW)
    with pytest.raises(Conflict, match="another worker"):
        waiting.claim(1, "production", said, NOW)
    assert waiting.claim(1, "production", "w1:a", NOW).granted


def test_what_nobody_waits_for_is_not_found(queue):
    with pytest.raises(NotFound, match="no gate run of version 1 is queued for production"):
        queue.claim(1, "production", "w1", NOW)


@pytest.mark.parametrize(
    "text", ["", " ", "w 1", "w1 stolen", "w1 failed", "w1 failed: ", "w1\n", "w\x1b[31m", "ä", "w" * 101]
)
def test_what_no_worker_says_is_wrong_usage_and_changes_nothing(waiting, text):
    with pytest.raises(UsageError, match="a worker says its name"):
        waiting.claim(1, "production", text, NOW)
    assert waiting.claim(1, "production", "w1", NOW).granted


def test_a_reason_is_one_line_of_bounded_length(waiting):
    waiting.claim(1, "production", "w1", NOW)
    shown = waiting.claim(1, "production", f"w1 failed: first\nsecond \x1b[31m{'x' * 70_000}", NOW).shown
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 400


@given(st.from_regex(r"[A-Za-z0-9_.@:-]{1,100}", fullmatch=True), st.text(max_size=50))
def test_a_claim_is_read_as_it_was_written(run, reason):
    for claim in (Claim(run), Claim(run, ClaimAction.RELEASED), Claim(run, ClaimAction.FAILED, reason)):
        read = Claim.parse(str(claim))
        assert (read.run, read.action) == (claim.run, claim.action)
