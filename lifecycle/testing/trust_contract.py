"""Contract tests for registries: changed files, signatures, approvals and overrides."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.errors import NotPromoted, PromotionRefused
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.contract import ModelRegistry
from lifecycle.testing.registry_fixtures import AUTHOR, MODEL, REFUSED, RegistryWords, SignIn


class TrustContract(RegistryWords):
    """Promotions need trusted signatures and unchanged files. A part of ``RegistryContract``."""

    # Files

    def test_files_that_changed_since_the_gates_ran_are_not_promoted(
        self, registry: ModelRegistry, policies: PolicyBook, tamper: Callable[[int], None]
    ) -> None:
        registry.publish(self.evidence(registry, policies, 1, "staging"), {})
        tamper(1)
        with pytest.raises(PromotionRefused, match="files have changed since its gates ran"):
            registry.promote(PromotionRequest(MODEL, 1, "staging"))
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"

    def test_files_that_changed_before_the_evidence_came_are_not_promoted(
        self, registry: ModelRegistry, policies: PolicyBook, tamper: Callable[[int], None]
    ) -> None:
        evidence = self.evidence(registry, policies, 1, "staging")
        tamper(1)
        with suppress(*REFUSED):
            registry.publish(evidence, {})
        with pytest.raises(PromotionRefused):
            registry.promote(PromotionRequest(MODEL, 1, "staging"))
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"

    # Signatures

    def test_evidence_by_a_key_that_nobody_trusts_promotes_nothing(
        self, registry: ModelRegistry, policies: PolicyBook, stranger: ModelRegistry
    ) -> None:
        with suppress(*REFUSED):
            stranger.publish(self.evidence(registry, policies, 1, "staging"), {})
        with pytest.raises(PromotionRefused):
            registry.promote(PromotionRequest(MODEL, 1, "staging"))
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"

    # Approvals

    def test_who_has_not_signed_in_does_not_approve(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        registry.publish(self.evidence(registry, policies, 1, "staging"), {})
        with pytest.raises(REFUSED):
            registry.approve(registry.get(ModelRef(MODEL, version=1)), "staging", "looks good")
        assert list(registry.history(MODEL)) == []

    def test_an_approval_is_on_record_with_who_gave_it_and_for_what(
        self, registry: ModelRegistry, policies: PolicyBook, signed_in: SignIn
    ) -> None:
        version = registry.get(ModelRef(MODEL, version=1))
        with signed_in("grace"), pytest.raises(PromotionRefused, match="nothing to approve yet"):
            registry.approve(version, "staging", "looks good")
        evidence = registry.publish(self.evidence(registry, policies, 1, "staging"), {})
        with signed_in("grace"):
            entry = registry.approve(version, "Staging", "looks good")
        assert (entry.action, entry.stage, entry.version) == (Action.APPROVED, "staging", 1)
        assert (entry.actor, entry.reason) == ("grace", "looks good")
        assert (entry.digest, entry.evidence_id) == (evidence.digest, evidence.evidence_id)
        assert list(registry.history(MODEL)) == [entry]
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"

    def test_the_author_does_not_approve(
        self, registry: ModelRegistry, policies: PolicyBook, signed_in: SignIn
    ) -> None:
        registry.publish(self.evidence(registry, policies, 1, "staging"), {})
        with signed_in(AUTHOR), pytest.raises(PromotionRefused, match="they registered it"):
            registry.approve(registry.get(ModelRef(MODEL, version=1)), "staging", "mine is best")
        assert list(registry.history(MODEL)) == []

    # Overrides

    def test_without_a_key_that_may_nothing_is_overridden(self, registry: ModelRegistry) -> None:
        with pytest.raises(REFUSED):
            registry.promote(self.override(registry, 1))
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"
        assert not [e for e in registry.history(MODEL) if e.moved]

    def test_an_override_moves_without_gates_and_says_until_when(self, overriding: ModelRegistry) -> None:
        request = self.override(overriding, 1)
        entry = overriding.promote(request)
        assert (entry.action, entry.stage, entry.version) == (Action.OVERRIDDEN, "production", 1)
        assert (entry.until, entry.reason, entry.evidence_id) == (request.until, "the shop is down", None)
        assert entry.digest == overriding.snapshot(overriding.get(ModelRef(MODEL, version=1))).digest
        assert overriding.get(ModelRef(MODEL, alias="champion")).version == 1
        assert overriding.promote(request) == entry
        assert list(overriding.history(MODEL)) == [entry]

    @pytest.mark.parametrize(
        "change",
        [{"reason": " "}, {"until": None}, {"issued_at": None}, {"digest": "0" * 64}],
        ids=lambda change: next(iter(change)),
    )
    def test_an_override_that_says_too_little_is_refused(
        self, overriding: ModelRegistry, change: dict[str, Any]
    ) -> None:
        with pytest.raises(REFUSED):
            overriding.promote(replace(self.override(overriding, 1), **change))
        assert overriding.get(ModelRef(MODEL, version=1)).stage == "None"

    def test_an_override_that_has_ended_holds_nothing(
        self, overriding: ModelRegistry, policies: PolicyBook
    ) -> None:
        overriding.promote(self.override(overriding, 1))
        policy, now = policies.of(MODEL).stage("production"), datetime.now(UTC)
        promoter = Promoter(overriding, policies, lambda _: None, "contract", lambda: now)
        assert promoter.held(MODEL, policy).version.version == 1
        later = replace(promoter, clock=lambda: now + timedelta(hours=2))
        with pytest.raises(NotPromoted, match="has ended"):
            later.held(MODEL, policy)

    def test_an_override_is_no_step_on_the_way_and_nothing_to_roll_back_to(
        self, overriding: ModelRegistry, policies: PolicyBook
    ) -> None:
        overriding.promote(self.override(overriding, 1, stage="staging"))
        overriding.publish(self.evidence(overriding, policies, 1, "production"), {})
        with pytest.raises(PromotionRefused, match="--stage staging"):
            overriding.promote(PromotionRequest(MODEL, 1, "production"))
        self.promote(overriding, policies, 2, "staging")
        with pytest.raises(PromotionRefused, match="never in staging by its gates"):
            overriding.promote(PromotionRequest(MODEL, 1, "staging", RequestKind.ROLLBACK))
        assert overriding.get(ModelRef(MODEL, stage="staging")).version == 2

    def test_evidence_confirms_what_was_overridden(self, overriding: ModelRegistry, policies: PolicyBook) -> None:
        overriding.promote(self.override(overriding, 1, stage="staging"))
        entry = self.promote(overriding, policies, 1, "staging")
        assert (entry.action, entry.previous, entry.until) == (Action.PROMOTED, 1, None)
        assert [e.action for e in overriding.history(MODEL)] == [Action.OVERRIDDEN, Action.PROMOTED]
