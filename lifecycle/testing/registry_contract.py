"""Contract tests for model registries. Inherit ``RegistryContract`` and supply its fixtures.

::

    class TestMine(RegistryContract):
        @pytest.fixture
        def policies(self): ...
        @pytest.fixture
        def registry(self, policies, tmp_path): ...
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from lifecycle.domain.deployment import FOLLOWER_LEASE
from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import Conflict, IntegrityError, LifecycleError, NotFound, NotTrusted, PromotionRefused
from lifecycle.registry.contract import FollowerLeases, ModelRegistry
from lifecycle.testing.registry_fixtures import AUTHOR, MODEL, SignIn
from lifecycle.testing.trust_contract import TrustContract

__all__ = ["AUTHOR", "MODEL", "RegistryContract", "SignIn"]


class RegistryContract(TrustContract):
    """Tests that every registry passes.

    A subclass supplies these fixtures:

    - ``registry``: a ModelRegistry that holds the model ``wine`` with versions 1 and 2, whose files differ.
    - ``policies``: the PolicyBook that it decides by. For ``wine`` it has the stages ``staging`` (Staging),
      ``production`` (Production, alias ``champion``, after staging) and ``challenger`` (the alias ``challenger``
      alone), each with at least one gate.
    - ``tamper``: changes the files of a version, where the registry has them.

    And, unless it has no such thing:

    - ``overriding``: the same registry, for a user whose key has the override permission.
    - ``stranger``: the same registry, for a user whose key is not trusted.
    - ``signed_in``: a context in which the registry has authenticated a user; ``ada`` registered the versions.
    """

    def test_says_whether_it_is_guarded(self, registry: ModelRegistry) -> None:
        assert registry.guarded is self.guarded

    def test_lists_versions_oldest_first(self, registry: ModelRegistry) -> None:
        assert [v.version for v in registry.versions(MODEL)] == [1, 2]
        assert registry.get(ModelRef(MODEL, version=2)).uri == "models:/wine/2"

    @pytest.mark.parametrize(
        "ref",
        [
            ModelRef(MODEL, version=3),
            ModelRef(MODEL, stage="production"),
            ModelRef(MODEL, alias="champion"),
            ModelRef(MODEL, stage="prodcution"),
            ModelRef("no-such-model", version=1),
        ],
        ids=str,
    )
    def test_what_is_not_there_is_not_found(self, registry: ModelRegistry, ref: ModelRef) -> None:
        with pytest.raises(NotFound):
            registry.get(ref)

    def test_an_unknown_model_has_a_near_name(self, registry: ModelRegistry) -> None:
        for ask in (registry.versions, registry.history):
            with pytest.raises(NotFound, match="wine"):
                ask("wein")

    def test_the_same_files_have_the_same_digest_and_others_another(self, registry: ModelRegistry) -> None:
        first, second = registry.versions(MODEL)
        snapshot = registry.snapshot(first)
        assert registry.snapshot(first) == snapshot
        assert registry.snapshot(first, snapshot.digest) == snapshot
        assert registry.snapshot(second).digest != snapshot.digest
        assert (snapshot.path / "MLmodel").is_file()

    def test_other_bytes_than_demanded_are_refused(self, registry: ModelRegistry) -> None:
        with pytest.raises(IntegrityError):
            registry.snapshot(registry.get(ModelRef(MODEL, version=1)), "0" * 64)

    def test_without_a_tracked_run_there_is_no_tracked_data(self, registry: ModelRegistry) -> None:
        assert registry.tracked(registry.get(ModelRef(MODEL, version=1))) is None

    def test_a_refusal_names_the_gates_and_the_command_and_changes_nothing(self, registry: ModelRegistry) -> None:
        with pytest.raises(PromotionRefused, match="Run: lifecycle gate run models:/wine/1 --stage staging"):
            registry.promote(PromotionRequest(MODEL, 1, "staging"))
        assert registry.get(ModelRef(MODEL, version=1)).stage == "None"
        (entry,) = registry.history(MODEL)
        assert (entry.action, entry.version) == (Action.REFUSED, 1)
        assert "lifecycle gate run" in entry.detail

    def test_evidence_promotes_stage_and_alias_together(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        self.promote(registry, policies, 1, "staging")
        entry = self.promote(registry, policies, 1, "production", reason="it is better", requested_by="ada")
        assert (entry.action, entry.stage, entry.previous) == (Action.PROMOTED, "production", None)
        assert entry.digest == registry.snapshot(registry.get(ModelRef(MODEL, version=1))).digest
        assert (entry.reason, entry.requested_by) == ("it is better", "ada")
        for ref in (
            ModelRef(MODEL, stage="production"),
            ModelRef(MODEL, stage="Production"),
            ModelRef(MODEL, alias="champion"),
        ):
            assert registry.get(ref).version == 1
        assert registry.get(ModelRef(MODEL, version=1)).aliases == ("champion",)
        assert registry.history(MODEL)[-1] == entry

    def test_published_evidence_is_what_the_entry_names(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        evidence = registry.publish(self.evidence(registry, policies, 1, "staging"), {"report.md": "# fine"})
        assert list(registry.evidence(registry.get(ModelRef(MODEL, version=1)))) == [evidence]
        assert list(registry.evidence(registry.get(ModelRef(MODEL, version=2)))) == []
        assert registry.promote(PromotionRequest(MODEL, 1, "staging")).evidence_id == evidence.evidence_id

    def test_the_attempt_is_on_record(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        first = self.evidence(registry, policies, 1, "staging")
        for attempt in (1, 2):
            registry.publish(replace(first, attempt=attempt), {})
        (newest,) = registry.evidence(registry.get(ModelRef(MODEL, version=1)))
        assert newest.attempt == 2

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR])
    def test_only_passed_promotes(self, registry: ModelRegistry, policies: PolicyBook, outcome: Outcome) -> None:
        gate = policies.of(MODEL).stage("staging").gates[0].name
        evidence = self.evidence(registry, policies, 1, "staging", {gate: outcome})
        registry.publish(evidence, {})
        with pytest.raises(PromotionRefused, match=rf"{gate} \({outcome}\)"):
            registry.promote(PromotionRequest(MODEL, 1, "staging"))

    def test_every_demanded_gate_counts(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        for missing in policies.of(MODEL).stage("staging").gates:
            evidence = self.evidence(registry, policies, 1, "staging")
            fewer = tuple(v for v in evidence.verdicts if v.gate != missing.name)
            registry.publish(replace(evidence, verdicts=fewer), {})
            with pytest.raises(PromotionRefused, match=rf"{missing.name} \(not run\)"):
                registry.promote(PromotionRequest(MODEL, 1, "staging"))

    def test_evidence_for_one_version_is_none_for_another(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        registry.publish(self.evidence(registry, policies, 1, "staging"), {})
        with pytest.raises(PromotionRefused):
            registry.promote(PromotionRequest(MODEL, 2, "staging"))

    def test_stages_come_in_their_order(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        registry.publish(self.evidence(registry, policies, 1, "production"), {})
        with pytest.raises(PromotionRefused, match="--stage staging"):
            registry.promote(PromotionRequest(MODEL, 1, "production"))

    def test_a_stage_holds_one_version(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        self.promote(registry, policies, 1, "staging")
        entry = self.promote(registry, policies, 2, "staging")
        assert entry.previous == 1
        assert [v.stage for v in registry.versions(MODEL)] == ["Archived", "Staging"]

    def test_an_alias_follows_its_stage_when_the_version_goes_elsewhere(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        self.promote(registry, policies, 1, "staging")
        self.promote(registry, policies, 1, "production")
        self.promote(registry, policies, 1, "staging")
        assert registry.get(ModelRef(MODEL, stage="staging")).aliases == ()
        with pytest.raises(NotFound):
            registry.get(ModelRef(MODEL, alias="champion"))

    def test_a_stage_may_be_an_alias_alone(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        with pytest.raises(PromotionRefused, match="may not go to @challenger"):
            registry.promote(PromotionRequest(MODEL, 1, "challenger"))
        self.promote(registry, policies, 1, "staging")
        self.promote(registry, policies, 1, "challenger")
        held = registry.get(ModelRef(MODEL, stage="challenger"))
        assert (held.version, held.stage, held.aliases) == (1, "Staging", ("challenger",))
        token = registry.etag(MODEL)
        assert self.promote(registry, policies, 2, "challenger", expected=1).previous == 1
        assert registry.etag(MODEL) != token
        assert registry.get(ModelRef(MODEL, alias="challenger")).version == 2
        assert [v.stage for v in registry.versions(MODEL)] == ["Staging", "None"]
        back = registry.promote(PromotionRequest(MODEL, 1, "challenger", RequestKind.ROLLBACK, reason="late"))
        assert (back.action, back.previous) == (Action.ROLLED_BACK, 2)
        registry.verify(registry.get(ModelRef(MODEL, stage="challenger")), back)

    def test_a_version_that_goes_on_gives_up_an_alias_that_is_a_stage(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        self.promote(registry, policies, 1, "challenger")
        self.promote(registry, policies, 1, "staging")
        assert registry.get(ModelRef(MODEL, stage="staging")).aliases == ()
        with pytest.raises(NotFound):
            registry.get(ModelRef(MODEL, stage="challenger"))

    def test_what_was_fetched_before_need_not_be_fetched_again(self, registry: ModelRegistry) -> None:
        version = registry.get(ModelRef(MODEL, version=1))
        assert registry.fetched(version) == registry.fetched(version) == registry.snapshot(version)

    def test_who_expected_another_holder_learns_who_holds_it(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        self.promote(registry, policies, 1, "staging", expected=0)
        before = registry.history(MODEL)
        with pytest.raises(Conflict, match="version 1 holds Staging"):
            self.promote(registry, policies, 2, "staging", expected=0)
        assert registry.get(ModelRef(MODEL, stage="staging")).version == 1
        assert registry.history(MODEL) == before
        assert self.promote(registry, policies, 2, "staging", expected=1).previous == 1

    def test_what_is_so_already_is_not_recorded_again(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        entry = self.promote(registry, policies, 1, "staging")
        assert registry.promote(PromotionRequest(MODEL, 1, "staging")) == entry
        assert list(registry.history(MODEL)) == [entry]

    def test_one_key_is_one_entry(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        entry = self.promote(registry, policies, 1, "staging", key="release-7")
        self.promote(registry, policies, 2, "staging")
        assert registry.promote(PromotionRequest(MODEL, 1, "staging", key="release-7")) == entry
        assert registry.get(ModelRef(MODEL, stage="staging")).version == 2
        with pytest.raises(Conflict, match="release-7"):
            registry.promote(PromotionRequest(MODEL, 2, "staging", key="release-7"))

    def test_rollback_needs_no_new_evidence(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        first = self.promote(registry, policies, 1, "staging")
        self.promote(registry, policies, 2, "staging")
        back = registry.promote(PromotionRequest(MODEL, 1, "staging", RequestKind.ROLLBACK, reason="errors"))
        assert (back.action, back.version, back.previous) == (Action.ROLLED_BACK, 1, 2)
        assert back.digest == first.digest
        assert registry.get(ModelRef(MODEL, stage="staging")).version == 1

    def test_rollback_goes_only_where_the_stage_was(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        self.promote(registry, policies, 1, "staging")
        with pytest.raises(PromotionRefused, match="never in staging"):
            registry.promote(PromotionRequest(MODEL, 2, "staging", RequestKind.ROLLBACK))

    def test_the_history_is_an_unbroken_chain(self, registry: ModelRegistry, policies: PolicyBook) -> None:
        with pytest.raises(PromotionRefused):
            registry.promote(PromotionRequest(MODEL, 2, "production"))
        self.promote(registry, policies, 1, "staging")
        self.promote(registry, policies, 2, "staging")
        history = registry.history(MODEL)
        assert [e.action for e in history] == [Action.REFUSED, Action.PROMOTED, Action.PROMOTED]
        assert broken_links(history) == []

    def test_of_two_at_once_one_wins_and_the_other_learns_it(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        if not self.guarded:
            return  # only a guard can ensure this
        for version in (1, 2):
            registry.publish(self.evidence(registry, policies, version, "staging"), {})
        start, outcomes = threading.Barrier(2), dict[int, str]()

        def promote(version: int) -> None:
            start.wait()
            try:
                registry.promote(PromotionRequest(MODEL, version, "staging", expected=0))
                outcomes[version] = "won"
            except Conflict:
                outcomes[version] = "lost"

        threads = [threading.Thread(target=promote, args=(version,)) for version in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes.values()) == ["lost", "won"]
        winner = registry.get(ModelRef(MODEL, stage="staging")).version
        assert outcomes[winner] == "won"
        assert [v.stage for v in registry.versions(MODEL)].count("Staging") == 1

    def test_a_state_is_versions_history_and_evidence_of_one_moment(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        self.promote(registry, policies, 1, "staging")
        state = registry.state(MODEL)
        assert list(state.versions) == list(registry.versions(MODEL))
        assert list(state.history) == list(registry.history(MODEL))
        for version in state.versions:
            assert list(state.evidence_of(version.version)) == list(registry.evidence(version))
        assert MODEL in registry.models()
        with pytest.raises(NotFound, match="wine"):
            registry.state("wein")

    def test_a_change_token_differs_with_what_stages_hold_and_stays_otherwise(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        seen = [registry.etag(MODEL)]
        for version in (1, 2):
            self.promote(registry, policies, version, "staging")
            seen.append(registry.etag(MODEL))
            assert registry.etag(MODEL) == seen[-1]
        assert len(set(seen)) == 3
        with pytest.raises(NotFound):
            registry.etag("wein")

    def test_a_move_is_proven_by_what_it_rests_on_and_no_other_is(
        self, registry: ModelRegistry, policies: PolicyBook
    ) -> None:
        move = self.promote(registry, policies, 1, "staging")
        registry.publish(self.evidence(registry, policies, 1, "staging", {"signature": Outcome.FAILED}), {})
        self.promote(registry, policies, 2, "staging")
        first, second = registry.versions(MODEL)
        registry.verify(first, move)
        back = registry.promote(PromotionRequest(MODEL, 1, "staging", RequestKind.ROLLBACK, reason="errors"))
        registry.verify(first, back)
        for version, change in (
            (first, {"digest": "0" * 64}),
            (first, {"evidence_id": "0" * 16}),
            (first, {"evidence_id": None}),
            (first, {"stage": "production"}),
            (first, {"action": Action.OVERRIDDEN}),
            (second, {"version": 2}),
        ):
            with pytest.raises(NotTrusted):
                registry.verify(version, replace(move, **change))


Later = Callable[[float], None]


class FollowerLeaseContract:
    """Tests of the leases that decide which follower works.

    A subclass supplies these fixtures:

    - ``leases``: a registry with two registered models, ``wine`` and ``flights``.
    - ``later``: moves the clock that decides by so many seconds.
    """

    def test_one_has_it_and_the_others_are_told_who(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        for _ in range(2):
            with pytest.raises(Conflict, match="ada:1"):
                leases.hold_lease("wine", "shop", "grace:2")
        leases.hold_lease("wine", "shop", "ada:1")

    def test_who_says_nothing_any_more_loses_it_and_the_next_one_keeps_it(
        self, leases: FollowerLeases, later: Later
    ) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        later(FOLLOWER_LEASE.total_seconds() - 5)
        with pytest.raises(Conflict):
            leases.hold_lease("wine", "shop", "grace:2")
        later(10)
        leases.hold_lease("wine", "shop", "grace:2")
        with pytest.raises(Conflict, match="grace:2"):
            leases.hold_lease("wine", "shop", "ada:1")

    def test_who_goes_on_keeps_it(self, leases: FollowerLeases, later: Later) -> None:
        for _ in range(5):
            leases.hold_lease("wine", "shop", "ada:1")
            later(FOLLOWER_LEASE.total_seconds() / 2)
            with pytest.raises(Conflict):
                leases.hold_lease("wine", "shop", "grace:2")

    def test_who_gives_it_back_leaves_it_to_the_next_at_once(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        with pytest.raises(Conflict):
            leases.release_lease("wine", "shop", "grace:2")
        leases.release_lease("wine", "shop", "ada:1")
        leases.release_lease("wine", "shop", "ada:1")
        leases.hold_lease("wine", "shop", "grace:2")

    def test_every_model_and_every_scope_has_its_own(self, leases: FollowerLeases) -> None:
        leases.hold_lease("wine", "shop", "ada:1")
        leases.hold_lease("wine", "factory", "grace:2")
        leases.hold_lease("flights", "shop", "grace:2")

    def test_what_is_no_name_or_no_model_is_refused(self, leases: FollowerLeases) -> None:
        for name in ("", "two words", "x" * 101, "ada\n"):
            with pytest.raises(LifecycleError):
                leases.hold_lease("wine", "shop", name)
        with pytest.raises(NotFound):
            leases.hold_lease("beer", "shop", "ada:1")
