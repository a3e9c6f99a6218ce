"""Break-glass: a promotion without gates, signed by a key that may, for a while, and loud."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.domain.promotion.decide import LONGEST_OVERRIDE
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.registry import tags
from lifecycle.signing.jws import sign
from lifecycle.signing.trust import Permission

HELD = (["Production", "None"], {"champion": 1})
NOTHING = (["None", "None"], {})


@pytest.mark.database
def test_an_override_moves_stage_and_alias_without_any_gate(registry):
    with registry.signed_in("ada"):
        registry.override()
    assert registry.state() == HELD
    (entry,) = registry.ledger()
    assert (entry.action, entry.stage, entry.version) == (Action.OVERRIDDEN, "production", 1)
    assert (entry.actor, entry.requested_by, entry.reason) == ("ada", "key operator", "the shop is down")
    assert entry.until is not None
    assert entry.digest == registry.evidence().digest


def test_it_is_shown_on_the_version_that_nothing_was_checked_until_when_and_by_whose_key(registry):
    registry.override()
    (shown,) = json.loads(registry.shown()["lifecycle.history"])
    assert shown["action"] == "OVERRIDDEN"
    assert shown["until"] == registry.ledger()[0].as_dict()["until"]
    assert (shown["requested_by"], shown["reason"]) == ("key operator", "the shop is down")
    assert shown["evidence_id"] is None
    assert tags.PROMOTION not in registry.shown()


def unsigned(registry: Any) -> str:
    text: str = registry.wish().to_json()
    return text


UNTRUSTED: dict[str, tuple[Callable[[Any], str], str]] = {
    "unsigned": (unsigned, "needs the signature of a key that may override"),
    "a key for evidence": (lambda r: r.signed_override(r.wish(), r.ci), "may not sign override"),
    "a key that nobody knows": (lambda r: r.signed_override(r.wish(), r.stranger), "does not know"),
    "signed as evidence": (lambda r: sign(r.operator, Permission.EVIDENCE, unsigned(r)), "its header has to name"),
    "tampered": (lambda r: r.signed_override(r.wish())[:-6] + "AAAAAA", "it was changed"),
    "evidence": (lambda r: r.signed(r.evidence(), r.operator), "its header has to name"),
    "nothing": (lambda _: "", "not a signed text"),
}


@pytest.mark.parametrize("how", UNTRUSTED)
def test_what_no_key_that_may_has_signed_moves_nothing(registry, how):
    make, why = UNTRUSTED[how]
    assert why in registry.refused(registry.write, tags.PROMOTION, make(registry))
    assert (registry.state(), registry.ledger()) == (NOTHING, ())


def test_a_key_whose_permission_was_taken_back_overrides_no_more(registry):
    registry.trust.trust(registry.operator, "operator", [Permission.EVIDENCE], registry.now())
    registry.refused(registry.override)
    registry.trust.revoke("operator", registry.now())
    registry.refused(registry.override)
    assert registry.state() == NOTHING


@pytest.mark.parametrize("kind", [RequestKind.PROMOTE, RequestKind.ROLLBACK])
def test_signing_makes_no_override_of_another_request(registry, kind):
    text = registry.signed_override(registry.wish(kind=kind))
    assert "not an override" in registry.refused(registry.write, tags.PROMOTION, text, status=400)
    assert registry.state() == NOTHING


WRONG: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "no reason": (lambda _: {"reason": ""}, "says no reason"),
    "a blank reason": (lambda _: {"reason": " \t"}, "says no reason"),
    "no end": (lambda _: {"until": None}, "says no reason, no end"),
    "no date": (lambda _: {"issued_at": None}, "not when it was signed"),
    "no key": (lambda _: {"key": ""}, "says no reason"),
    "stale": (
        lambda r: {"issued_at": r.now() - timedelta(minutes=11), "until": r.now() + timedelta(hours=1)},
        "was not signed just now",
    ),
    "dated ahead": (
        lambda r: {"issued_at": r.now() + timedelta(minutes=11), "until": r.now() + timedelta(hours=1)},
        "was not signed just now",
    ),
    "too long": (lambda r: {"until": r.now() + LONGEST_OVERRIDE + timedelta(minutes=1)}, "7 days at most"),
    "ended": (lambda r: {"until": r.now() - timedelta(seconds=1)}, "has to end later"),
    "other files": (lambda r: {"digest": r.evidence(2).digest}, "speaks of other files"),
    "no files": (lambda _: {"digest": ""}, "speaks of other files"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_override_that_is_not_as_it_should_be_is_refused_and_on_record(registry, wrong):
    make, why = WRONG[wrong]
    words = registry.refused(lambda: registry.override(**make(registry)))
    assert why in words
    (entry,) = registry.ledger()
    assert (entry.action, entry.detail) == (Action.REFUSED, words)
    assert registry.state() == NOTHING


def test_an_override_of_another_version_or_model_is_refused(registry):
    registry.add("beer")
    text = registry.signed_override(registry.wish(1))
    registry.refused(registry.write, tags.PROMOTION, text, 2, status=400)
    registry.refused(registry.write, tags.PROMOTION, text, 1, "beer", status=400)
    assert registry.state() == NOTHING


def test_files_that_changed_since_it_was_signed(registry):
    text = registry.signed_override(registry.wish())
    (registry.files() / "MLmodel").write_text("other")
    assert "speaks of other files" in registry.refused(registry.write, tags.PROMOTION, text)
    assert registry.state() == NOTHING


@pytest.mark.database
def test_the_same_override_again_is_one_entry_and_brings_nothing_back(registry):
    text = registry.signed_override(registry.wish())
    for _ in range(3):
        registry.write(tags.PROMOTION, text)
    assert len(registry.ledger()) == 1
    registry.move(1, "Archived")
    registry.write(tags.PROMOTION, text)
    assert registry.state() == (["Archived", "None"], {})
    assert [e.action for e in registry.ledger()] == [Action.OVERRIDDEN, Action.DEMOTED]


@pytest.mark.database
def test_who_expected_another_holder_is_told(registry):
    registry.promote(2)
    registry.refused(lambda: registry.override(1, expected=0), status=409)
    registry.override(1, expected=2)
    assert registry.state() == (["Production", "Archived"], {"champion": 1})


@pytest.mark.database
def test_a_second_one_makes_it_last_longer(registry):
    registry.override()
    registry.override(key="k2", until=registry.now() + timedelta(days=2))
    first, second = registry.ledger()
    assert first.until < second.until
    assert registry.state() == HELD


@pytest.mark.database
def test_it_ends(registry):
    registry.override()
    (entry,) = registry.ledger()
    assert entry.stands(registry.now())
    assert not entry.stands(entry.until)


def test_it_is_no_step_on_the_way(registry):
    order = ModelPolicy((registry.staging, replace(registry.production, after="staging")))
    registry.open_with(PolicyBook(order))
    registry.override(stage="staging")
    registry.judge()
    assert "has not been promoted to staging" in registry.refused(registry.move)
    registry.promote(1, registry.staging)
    registry.move()
    assert registry.state() == HELD


def test_it_is_nothing_to_roll_back_to(registry):
    registry.override(1)
    registry.promote(2)
    back = PromotionRequest("wine", 1, "production", RequestKind.ROLLBACK, reason="it was fine")
    assert "was never in production by its gates" in registry.refused(registry.ask, back)
    assert registry.state() == (["Archived", "Production"], {"champion": 2})


def test_what_was_there_before_it_can_be_rolled_back_to(registry):
    registry.promote(2)
    registry.override(1)
    registry.ask(PromotionRequest("wine", 2, "production", RequestKind.ROLLBACK, reason="worse"))
    assert registry.state() == (["Archived", "Production"], {"champion": 2})


@pytest.mark.database
def test_evidence_confirms_it(registry):
    registry.override()
    assert "no gate has been run" in registry.refused(registry.move)
    registry.promote()
    assert [e.action for e in registry.ledger()] == [Action.OVERRIDDEN, Action.REFUSED, Action.PROMOTED]
    last = registry.ledger()[-1]
    assert (last.previous, last.until) == (1, None)
    assert last.evidence_id
    assert broken_links(registry.ledger()) == []
    registry.ask(PromotionRequest("wine", 1, "production"))
    assert len(registry.ledger()) == 3


def test_it_needs_no_approval_and_gives_none(registry):
    registry.open(registry.staging, replace(registry.production, approvals=1))
    registry.override()
    assert registry.state() == HELD
    registry.judge(2)
    assert "0 of 2 approvals" in registry.refused(registry.move, 2)


def test_a_rollback_or_promotion_that_claims_an_end_has_none(registry):
    end = {"issued_at": registry.now(), "until": registry.now() + timedelta(hours=1)}
    registry.judge()
    registry.ask(PromotionRequest("wine", 1, "production", **end))
    assert registry.ledger()[-1].until is None
