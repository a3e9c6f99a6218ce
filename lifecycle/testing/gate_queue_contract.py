"""Contract tests for registries that queue gate runs (``on_missing: enqueue``).

::

    class TestMine(GateQueueContract):
        @pytest.fixture
        def policies(self): ...
        @pytest.fixture
        def registry(self, policies, tmp_path): ...
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.domain.gate_queue import MOST_STARTS, Claim, ClaimAction, QueuedGates
from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import Conflict, NotFound, PromotionRefused
from lifecycle.registry.contract import ModelRegistry
from lifecycle.testing.registry_fixtures import MODEL, RegistryWords

_MINE, _OTHER = Claim("mine:1"), Claim("other:2")


class GateQueueContract(RegistryWords):
    """Tests that every registry's queue passes.

    A subclass supplies these fixtures:

    - ``registry``: a guarded ModelRegistry that holds the model ``wine`` with versions 1 and 2.
    - ``policies``: the PolicyBook that it decides by. Both stages of ``wine``, ``staging`` (Staging) and
      ``production`` (Production, after nothing), have ``on_missing: enqueue``; production has ``auto_promote``.
    """

    def test_nothing_is_queued_at_first(self, registry: ModelRegistry) -> None:
        assert list(registry.queued()) == []

    def test_a_refusal_for_want_of_evidence_queues_one_gate_run(self, registry: ModelRegistry) -> None:
        for _ in range(3):
            ask(registry, 1, "production")
        ask(registry, 2, "staging")
        queued = {(q.model, q.version, q.stage, q.shown) for q in registry.queued()}
        assert queued == {(MODEL, 1, "production", "QUEUED"), (MODEL, 2, "staging", "QUEUED")}

    def test_one_worker_has_it(self, registry: ModelRegistry) -> None:
        gates = ask(registry, 1, "production")
        registry.claim(gates, _MINE)
        registry.claim(gates, _MINE)
        assert [q.shown for q in registry.queued()] == ["RUNNING by mine:1"]
        ask(registry, 1, "production")
        assert [q.shown for q in registry.queued()] == ["RUNNING by mine:1"]
        for claim in (
            _OTHER,
            replace(_OTHER, action=ClaimAction.RELEASED),
            replace(_OTHER, action=ClaimAction.FAILED),
        ):
            with pytest.raises(Conflict):
                registry.claim(gates, claim)
        registry.claim(gates, replace(_MINE, action=ClaimAction.RELEASED))
        registry.claim(gates, _OTHER)

    def test_what_cannot_be_run_says_why_and_is_given_up_in_the_end(self, registry: ModelRegistry) -> None:
        gates = ask(registry, 1, "production")
        registry.claim(gates, _MINE)
        registry.claim(gates, replace(_MINE, action=ClaimAction.FAILED, reason="july.parquet: no such file"))
        (queued,) = registry.queued()
        assert queued.shown == f"QUEUED, could not be run (1 of {MOST_STARTS} tries): july.parquet: no such file"
        with pytest.raises(Conflict, match="try again after"):
            registry.claim(gates, _OTHER)

    def test_evidence_ends_it_and_completes_the_promotion_where_the_policy_says_so(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        for version, stage in ((1, "staging"), (2, "production")):
            gates = ask(registry, version, stage)
            registry.claim(gates, _MINE)
            registry.publish(self.evidence(registry, policies, version, stage), {})
            with pytest.raises(NotFound):
                registry.claim(gates, _MINE)
        assert list(registry.queued()) == []
        assert [v.stage for v in registry.versions(MODEL)] == ["None", "Production"]
        assert registry.promote(PromotionRequest(MODEL, 1, "staging")).action is Action.PROMOTED

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR])
    def test_evidence_that_does_not_pass_ends_it_and_moves_nothing(
        self, registry: ModelRegistry, policies: PolicyBook, outcome: Outcome
    ) -> None:
        ask(registry, 1, "production")
        gates = [gate.name for gate in policies.of(MODEL).stage("production").gates]
        registry.publish(self.evidence(registry, policies, 1, "production", dict.fromkeys(gates, outcome)), {})
        assert list(registry.queued()) == []
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"

    def test_evidence_that_does_not_count_queues_no_further_run(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        """Otherwise a worker with another policy would repeat for ever."""
        ask(registry, 1, "production")
        other = replace(self.evidence(registry, policies, 1, "production"), policy_digest="0" * 64)
        registry.publish(other, {})
        assert list(registry.queued()) == []
        assert registry.history(MODEL)[-1].action is Action.REFUSED

    def test_what_nobody_waits_for_is_not_found(self, registry: ModelRegistry) -> None:
        with pytest.raises(NotFound):
            registry.claim(QueuedGates(MODEL, 1, "production", ""), _MINE)


def ask(registry: ModelRegistry, version: int, stage: str) -> QueuedGates:
    """Request a promotion that is refused; returns the queued gate run."""
    with pytest.raises(PromotionRefused):
        registry.promote(PromotionRequest(MODEL, version, stage))
    (queued,) = (q for q in registry.queued() if (q.version, q.stage) == (version, stage))
    return queued
