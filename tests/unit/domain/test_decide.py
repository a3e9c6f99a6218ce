"""The decision table of a promotion: nothing but fresh, complete, PASSED evidence moves a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import GateSpec, OnMissing, StagePolicy
from lifecycle.domain.promotion.decide import CLOCK_TOLERANCE, LONGEST_OVERRIDE, Decision, decide
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome, Verdict

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GATES = ("signature", "data_quality", "drift")
POLICY = StagePolicy("production", "Production", tuple(map(GateSpec, GATES)), alias="champion")
REQUEST = PromotionRequest("wine", 1, "production")
PASSED = tuple(Verdict(gate, Outcome.PASSED, f"{gate}.ok", "fine") for gate in GATES)
EVIDENCE = Evidence(
    model="wine",
    version=1,
    stage="production",
    digest="d" * 64,
    policy_digest=POLICY.digest,
    verdicts=PASSED,
    created_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(days=1),
)


def moved(stage: str, version: int, digest: str) -> LedgerEntry:
    return LedgerEntry(1, NOW, Action.PROMOTED, "wine", stage, version, digest=digest, evidence_id="e" * 16)


def context(ledger: Sequence[LedgerEntry] = (), *evidence: Evidence, **fields: Any) -> PromotionContext:
    """Of files that are still those that were judged."""
    return replace(PromotionContext(evidence, ledger, digest=EVIDENCE.digest), **fields)


def decided(*evidence: Evidence, policy: StagePolicy = POLICY, ledger: Sequence[LedgerEntry] = ()) -> Decision:
    return decide(REQUEST, policy, context(ledger, *evidence), NOW)


def test_complete_fresh_evidence_allows_and_is_named():
    decision = decided(EVIDENCE)
    assert decision.allowed
    assert (decision.digest, decision.evidence_id) == (EVIDENCE.digest, EVIDENCE.evidence_id)


@pytest.mark.parametrize("gate", GATES)
def test_each_missing_gate_refuses_and_is_named(gate):
    fewer = replace(EVIDENCE, verdicts=tuple(v for v in PASSED if v.gate != gate))
    decision = decided(fewer)
    assert not decision.allowed
    assert f"not passed: {gate} (not run)" in decision.detail


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_any_gate_that_did_not_pass_refuses(gate, outcome):
    verdicts = tuple(replace(v, outcome=outcome) if v.gate == gate else v for v in PASSED)
    decision = decided(replace(EVIDENCE, verdicts=verdicts))
    assert not decision.allowed
    assert f"{gate} ({outcome})" in decision.detail


@pytest.mark.parametrize(
    ("claimed", "earlier", "allowed"), [(1, 0, True), (2, 1, True), (3, 2, False), (1, 2, False), (9, 0, False)]
)
def test_evidence_of_an_attempt_too_many_does_not_count_whatever_number_it_claims(claimed, earlier, allowed):
    policy = replace(POLICY, max_attempts=2)
    evidence = replace(EVIDENCE, policy_digest=policy.digest, attempt=claimed)
    failed = [
        replace(evidence, created_at=NOW - timedelta(hours=3 + n), verdicts=PASSED[:1]) for n in range(earlier)
    ]
    decision = decided(*failed, evidence, policy=policy)
    assert decision.allowed is allowed
    assert allowed or "max_attempts is 2. Register a new version" in decision.detail


@pytest.mark.parametrize("bad_first", [True, False])
def test_a_gate_that_spoke_twice_counts_as_its_worse_word(bad_first):
    failed = replace(PASSED[0], outcome=Outcome.FAILED)
    verdicts = (failed, *PASSED) if bad_first else (*PASSED, failed)
    assert not decided(replace(EVIDENCE, verdicts=verdicts)).allowed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"expires_at": NOW}, "expired"),
        ({"created_at": NOW - POLICY.max_age, "expires_at": NOW + timedelta(days=9)}, "expired"),
        ({"created_at": NOW + CLOCK_TOLERANCE + timedelta(seconds=1)}, "dated in the future"),
        ({"policy_digest": "0" * 64}, "the policy has changed"),
    ],
    ids=["expired", "too old for the policy", "from the future", "other policy"],
)
def test_evidence_that_is_not_of_now_refuses(change, why):
    decision = decided(replace(EVIDENCE, **change))
    assert not decision.allowed
    assert why in decision.detail
    assert "Run: lifecycle gate run models:/wine/1 --stage production" in decision.detail


@pytest.mark.parametrize("change", [{"model": "beer"}, {"version": 2}, {"stage": "staging"}])
def test_evidence_of_something_else_refuses(change):
    assert not decided(replace(EVIDENCE, **change)).allowed


def test_no_evidence_refuses_and_lists_what_is_needed():
    decision = decided()
    assert not decision.allowed
    assert "needed: signature, data_quality, drift" in decision.detail


def test_the_newest_evidence_counts():
    failed = replace(EVIDENCE, verdicts=(replace(PASSED[0], outcome=Outcome.FAILED), *PASSED[1:]))
    assert not decided(EVIDENCE, failed).allowed
    assert decided(failed, EVIDENCE).allowed


@pytest.mark.parametrize(
    ("ledger", "allowed"),
    [
        ([], False),
        ([moved("staging", 2, EVIDENCE.digest)], False),
        ([moved("staging", 1, "0" * 64)], False),
        ([replace(moved("staging", 1, EVIDENCE.digest), action=Action.REFUSED)], False),
        ([moved("staging", 1, EVIDENCE.digest)], True),
    ],
    ids=["never", "another version", "other files", "only refused", "the same files"],
)
def test_the_stage_before_must_have_held_these_very_files(ledger, allowed):
    policy = replace(POLICY, after="staging")
    evidence = replace(EVIDENCE, policy_digest=policy.digest)
    decision = decided(evidence, policy=policy, ledger=ledger)
    assert decision.allowed is allowed
    assert allowed or "--stage staging" in decision.detail


def test_rollback_takes_digest_and_evidence_of_the_last_time():
    rollback = replace(REQUEST, kind=RequestKind.ROLLBACK)
    held = moved("production", 1, "a" * 64)
    decision = decide(rollback, POLICY, context([held, moved("production", 2, "b" * 64)]), NOW)
    assert (decision.allowed, decision.digest, decision.evidence_id) == (True, "a" * 64, "e" * 16)
    assert not decide(rollback, POLICY, context([moved("production", 2, "b" * 64)], EVIDENCE), NOW).allowed


@pytest.mark.parametrize("field", ["name", "stage", "alias", "after", "gates", "max_age"])
def test_every_demand_is_in_the_policys_digest(field):
    other = {
        "name": "prod",
        "stage": "Staging",
        "alias": "best",
        "after": "staging",
        "gates": (GateSpec("drift", {"min_rows": 1}),),
        "max_age": timedelta(days=1),
    }
    assert replace(POLICY, **{field: other[field]}).digest != POLICY.digest


def test_where_the_current_data_lies_is_no_demand():
    monday = replace(POLICY, gates=(GateSpec("drift", {"current": "monday.parquet"}),))
    tuesday = replace(POLICY, gates=(GateSpec("drift", {"current": "tuesday.parquet"}),))
    assert monday.digest == tuesday.digest


# Files and keys


@pytest.mark.parametrize(("digest", "why"), [("e" * 64, "files have changed"), (None, "during this request")])
def test_files_other_than_those_that_were_judged_refuse(digest, why):
    decision = decide(REQUEST, POLICY, context([], EVIDENCE, digest=digest), NOW)
    assert not decision.allowed
    assert why in decision.detail


def test_what_changed_is_told_before_what_did_not_pass():
    failed = replace(EVIDENCE, verdicts=(replace(PASSED[0], outcome=Outcome.FAILED),))
    decision = decide(REQUEST, POLICY, context([], failed, digest="e" * 64), NOW)
    assert "files have changed" in decision.detail
    assert not decision.unjudged


def test_evidence_that_no_trusted_key_signed_is_told_apart_from_none():
    assert "not trusted (any more)" in decide(REQUEST, POLICY, context(distrusted=True), NOW).detail
    assert decide(REQUEST, POLICY, context([], EVIDENCE, distrusted=True), NOW).allowed


def test_only_the_want_of_a_gate_run_is_worth_one():
    assert decided().unjudged
    assert decided(replace(EVIDENCE, expires_at=NOW)).unjudged
    failed = replace(EVIDENCE, verdicts=(replace(PASSED[0], outcome=Outcome.FAILED),))
    assert not decided(failed).unjudged
    assert not decided(EVIDENCE).unjudged


# Clocks


@pytest.mark.parametrize("ahead", [timedelta(seconds=1), timedelta(minutes=1), CLOCK_TOLERANCE])
def test_a_clock_may_be_a_little_ahead(ahead):
    assert decided(replace(EVIDENCE, created_at=NOW + ahead)).allowed


# Overrides

OVERRIDE = replace(
    REQUEST,
    kind=RequestKind.OVERRIDE,
    reason="the shop is down",
    key="k",
    digest=EVIDENCE.digest,
    issued_at=NOW,
    until=NOW + timedelta(hours=4),
)
MINUTE = timedelta(minutes=1)


def overridden(**change: Any) -> Decision:
    return decide(replace(OVERRIDE, **change), POLICY, context(), NOW)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"issued_at": NOW - 10 * MINUTE},
        {"issued_at": NOW + CLOCK_TOLERANCE, "until": NOW + timedelta(hours=4)},
        {"until": NOW + LONGEST_OVERRIDE},
        {"until": NOW + timedelta(seconds=1)},
    ],
)
def test_a_whole_override_that_was_signed_just_now_needs_no_evidence(change):
    decision = overridden(**change)
    assert (decision.allowed, decision.digest, decision.evidence_id) == (True, EVIDENCE.digest, None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"reason": ""}, "says no reason"),
        ({"reason": "\n "}, "says no reason"),
        ({"key": ""}, "says no reason"),
        ({"until": None}, "no end"),
        ({"issued_at": None}, "not when it was signed"),
        ({"issued_at": NOW - 10 * MINUTE - timedelta(seconds=1)}, "was not signed just now"),
        ({"issued_at": NOW + CLOCK_TOLERANCE + timedelta(seconds=1)}, "was not signed just now"),
        ({"until": NOW}, "has to end later"),
        ({"until": NOW + LONGEST_OVERRIDE + timedelta(seconds=1)}, "7 days at most"),
        ({"issued_at": NOW - 5 * MINUTE, "until": NOW + LONGEST_OVERRIDE}, "7 days at most"),
        ({"digest": "e" * 64}, "other files"),
        ({"digest": ""}, "other files"),
    ],
)
def test_any_other_override_is_refused(change, why):
    decision = overridden(**change)
    assert not decision.allowed
    assert why in decision.detail


def test_an_override_of_files_that_nobody_has_looked_at_is_refused():
    assert not decide(OVERRIDE, POLICY, context(digest=None), NOW).allowed
    assert not decide(replace(OVERRIDE, digest=""), POLICY, context(digest=None), NOW).allowed


def test_an_override_counts_for_nothing_that_comes_after_it():
    earlier = replace(moved("staging", 1, EVIDENCE.digest), action=Action.OVERRIDDEN, until=NOW)
    policy = replace(POLICY, after="staging")
    evidence = replace(EVIDENCE, policy_digest=policy.digest)
    assert not decided(evidence, policy=policy, ledger=[earlier]).allowed
    rollback = replace(REQUEST, kind=RequestKind.ROLLBACK)
    held = replace(earlier, stage="production")
    assert not decide(rollback, POLICY, context([held]), NOW).allowed


@pytest.mark.parametrize("action", [Action.ADOPTED, Action.DEMOTED, Action.APPROVED, Action.REFUSED])
def test_what_moved_nothing_is_nothing_to_roll_back_to(action):
    entry = replace(moved("production", 1, EVIDENCE.digest), action=action)
    assert not decide(replace(REQUEST, kind=RequestKind.ROLLBACK), POLICY, context([entry]), NOW).allowed


@pytest.mark.parametrize("field", ["approvals", "approvers", "on_missing", "auto_promote", "inherited"])
def test_what_asks_nothing_of_the_gates_leaves_evidence_as_good_as_it_was(field):
    other = {
        "approvals": 2,
        "approvers": frozenset({"ada"}),
        "on_missing": OnMissing.ENQUEUE,
        "auto_promote": True,
        "inherited": True,
    }
    assert replace(POLICY, **{field: other[field]}).digest == POLICY.digest
