"""Tags: which are ours, and that what is shown stays within MLflow's limit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import IntegrityError
from lifecycle.registry import tags

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TEXT_LIMIT = 65_535  # bytes of MySQL's TEXT; MLflow's own limit is 100,000 characters


def entries(count: int, action: Action, first: int = 1) -> list[LedgerEntry]:
    texts = {"reason": "r" * 2000, "detail": "d" * 400, "requested_by": "u" * 256, "key": "k" * 128}
    return [
        LedgerEntry(n, NOW, action, "m" * 250, "production", 1, digest="d" * 64, **texts)
        for n in range(first, first + count)
    ]


@pytest.mark.parametrize("key", ["lifecycle.x", "lifecycle.", "LIFECYCLE.history", "Lifecycle.Evidence.staging"])
def test_the_prefix_is_reserved_in_any_letter_case(key):
    assert tags.is_reserved(key)


@pytest.mark.parametrize("key", ["lifecycle", "lifecycles.x", "my.lifecycle.x", "mlflow.prompt.text", ""])
def test_other_tags_are_peoples_own(key):
    assert not tags.is_reserved(key)


def test_the_stage_of_an_evidence_tag():
    assert tags.end_of(tags.EVIDENCE + "staging", tags.EVIDENCE) == "staging"
    assert tags.end_of("lifecycle.history", tags.EVIDENCE) is None


def test_the_summary_is_one_line_for_people():
    verdicts = (
        Verdict("signature", Outcome.PASSED, "signature.ok", ""),
        Verdict("drift", Outcome.FAILED, "drift.share_exceeded", ""),
    )
    evidence = Evidence("wine", 1, "production", "d" * 64, "p" * 64, verdicts, NOW, NOW)
    assert tags.summary(evidence) == "FAILED 2026-11-21 · attempt 1 · signature PASSED, drift FAILED"


def test_a_long_history_shows_its_newest_and_stays_within_the_limit():
    ledger = entries(300, Action.PROMOTED) + entries(300, Action.REFUSED, first=301)
    value = tags.history_value(ledger, version=1)
    assert len(value) < TEXT_LIMIT
    shown = tags.history_of({tags.HISTORY: value})
    moves = [entry for entry in shown if entry.action is Action.PROMOTED]
    assert shown == moves == ledger[300 - len(moves) : 300]
    assert len(moves) > 10


def test_refusals_crowd_no_move_out():
    ledger = entries(1, Action.PROMOTED) + entries(300, Action.REFUSED, first=2)
    shown = tags.history_of({tags.HISTORY: tags.history_value(ledger, version=1)})
    assert shown[0] == ledger[0]
    assert shown[1:] == ledger[302 - len(shown) :]
    assert 10 < len(shown) <= 21


def test_a_history_shows_only_its_versions_own():
    ledger = entries(3, Action.PROMOTED)
    assert tags.history_of({tags.HISTORY: tags.history_value(ledger, version=2)}) == []
    assert tags.history_of({}) == []


@pytest.mark.parametrize("text", ["", "null", "5", '["x"]', '[{"at": 1}]'])
def test_a_spoilt_tag_is_an_error_and_not_an_empty_answer(text):
    with pytest.raises(IntegrityError):
        tags.history_of({tags.HISTORY: text})
    with pytest.raises(IntegrityError):
        tags.evidence_in({tags.EVIDENCE + "staging": text})


@pytest.mark.parametrize(
    ("approvers", "needed", "shown"),
    [(set(), 1, "0 of 1"), ({"grace"}, 2, "1 of 2: grace"), ({"grace", "alan"}, 2, "2 of 2: alan, grace")],
)
def test_approvals_are_shown_with_the_names_of_those_who_approved(approvers, needed, shown):
    assert tags.approvals_shown(approvers, needed) == shown
