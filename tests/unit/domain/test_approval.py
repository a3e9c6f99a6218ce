"""Four eyes: whose approvals count, and how many it takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.policy import GateSpec, StagePolicy
from lifecycle.domain.promotion.decide import approvals_needed, approvers_of, check_may_approve, decide
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import NotTrusted, PromotionRefused

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIGEST = "d" * 64
POLICY = StagePolicy("production", "Production", (GateSpec("signature"),), approvals=1)


def approval(actor: str = "grace", **change: object) -> LedgerEntry:
    entry = LedgerEntry(1, NOW, Action.APPROVED, "wine", "production", 1, digest=DIGEST, actor=actor)
    return replace(entry, **change)


def counted(*entries: LedgerEntry, policy: StagePolicy = POLICY, author: str | None = "ada") -> set[str]:
    return approvers_of(1, DIGEST, policy, entries, author, NOW)


def test_those_who_approved_these_files_count_once_each():
    assert counted(approval(), approval("linus"), approval()) == {"grace", "linus"}


@pytest.mark.parametrize(
    "change",
    [
        {"actor": UNAUTHENTICATED},
        {"actor": "ada"},
        {"actor": "Ada"},
        {"version": 2},
        {"stage": "staging"},
        {"digest": "e" * 64},
        {"digest": ""},
        {"action": Action.PROMOTED},
        {"action": Action.REFUSED},
        {"at": NOW - POLICY.max_age},
    ],
    ids=str,
)
def test_nothing_else_counts(change):
    assert counted(approval(**change)) == set()


def test_an_approval_lasts_as_long_as_evidence():
    assert counted(approval(at=NOW - POLICY.max_age + timedelta(seconds=1))) == {"grace"}


@pytest.mark.parametrize("other", ["Grace", "GRACE", "gráce"])
def test_spellings_that_a_database_of_users_may_take_for_one_are_one_person(other):
    assert counted(approval(), approval(other)) == {"grace"}


def test_only_those_who_are_listed_count_and_in_their_spelling():
    policy = replace(POLICY, approvers=frozenset({"grace"}))
    assert counted(approval("linus"), approval("Grace"), policy=policy) == set()
    assert counted(approval("linus"), approval("grace"), policy=policy) == {"grace"}


@pytest.mark.parametrize(
    ("approvals", "author", "needed"), [(0, "ada", 0), (0, None, 0), (1, "ada", 1), (2, "ada", 2), (2, None, 3)]
)
def test_where_nobody_knows_the_author_one_more_is_needed(approvals, author, needed):
    assert approvals_needed(replace(POLICY, approvals=approvals), author) == needed


@pytest.mark.parametrize("author", ["ada", None])
def test_who_may_approve(author):
    check_may_approve("wine", 1, POLICY, "grace", author)
    with pytest.raises(NotTrusted, match="basic-auth"):
        check_may_approve("wine", 1, POLICY, UNAUTHENTICATED, author)
    listed = replace(POLICY, approvers=frozenset({"linus", "margaret"}))
    with pytest.raises(PromotionRefused, match="the policy lists linus, margaret"):
        check_may_approve("wine", 1, listed, "grace", author)


@pytest.mark.parametrize("actor", ["ada", "ADA"])
def test_the_author_may_not_though_they_are_listed(actor):
    listed = replace(POLICY, approvers=frozenset({"ada", "ADA"}))
    with pytest.raises(PromotionRefused, match="they registered it, and four eyes are demanded"):
        check_may_approve("wine", 1, listed, actor, "ada")


@pytest.mark.parametrize(
    ("given", "author", "allowed", "said"),
    [
        ([], "ada", False, "it has 0 of 2 approvals. Someone"),
        (["grace"], "ada", False, "it has 1 of 2 approvals (grace)"),
        (["grace", "grace"], "ada", False, "1 of 2"),
        (["grace", "ada"], "ada", False, "1 of 2"),
        (["grace", "linus"], "ada", True, ""),
        (
            ["grace", "linus"],
            None,
            False,
            "2 of 3 approvals (grace, linus), one of them because its author is unknown",
        ),
        (["grace", "linus", "ada"], None, True, ""),
    ],
)
def test_a_promotion_waits_for_them(given, author, allowed, said):
    policy = replace(POLICY, approvals=2)
    verdicts = (Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),)
    evidence = Evidence("wine", 1, "production", DIGEST, policy.digest, verdicts, NOW, NOW + timedelta(days=1))
    standing = PromotionContext([evidence], [approval(actor) for actor in given], digest=DIGEST, author=author)
    decision = decide(PromotionRequest("wine", 1, "production"), policy, standing, NOW)
    assert decision.allowed is allowed
    assert said in decision.detail
    assert not decision.unjudged
