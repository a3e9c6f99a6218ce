"""Promoting is left to the registry; rolling back picks the version and proves that it still loads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import DeploymentFailed, IntegrityError, NotFound, NotPromoted, PromotionRefused
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore

PRODUCTION = StagePolicy("production", "Production", (GateSpec("signature"),), alias="champion")
POLICIES = PolicyBook(ModelPolicy((PRODUCTION,)))


@pytest.fixture
def registry(tmp_path):
    """Versions 1, 2 and 3 of ``wine``, each with passing evidence."""
    registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), POLICIES, lambda: datetime.now(UTC))
    for number in (1, 2, 3):
        folder = tmp_path / f"version-{number}"
        folder.mkdir()
        (folder / "weights").write_bytes(bytes([number]))
        version = registry.add("wine", folder)
        now = datetime.now(UTC)
        registry.publish(
            Evidence(
                model="wine",
                version=number,
                stage="production",
                digest=registry.snapshot(version).digest,
                policy_digest=PRODUCTION.digest,
                verdicts=(Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),),
                created_at=now,
                expires_at=now + timedelta(days=1),
            ),
            {},
        )
    return registry


@pytest.fixture
def promoter(registry):
    return Promoter(registry, POLICIES, lambda _: None, "ada", lambda: datetime.now(UTC))


def promote(promoter, *versions):
    for version in versions:
        promoter.promote(ModelRef("wine", version=version), "production", reason="looks good")


def holder(registry):
    held = {v.version: v.aliases for v in registry.versions("wine") if v.stage == "Production"}
    assert all(aliases == ("champion",) for aliases in held.values())
    return next(iter(held), None)


def test_a_promotion_says_who_asked_and_why(registry, promoter):
    promote(promoter, 1)
    entry = registry.history("wine")[-1]
    assert (entry.action, entry.version, entry.stage) == (Action.PROMOTED, 1, "production")
    assert (entry.requested_by, entry.reason) == ("ada", "looks good")


def test_a_stage_goes_by_mlflows_name_too(registry, promoter):
    promoter.promote(ModelRef("wine", version=1), "PRODUCTION")
    assert holder(registry) == 1


@pytest.mark.parametrize(
    ("ref", "stage", "said"),
    [
        (ModelRef("wine", version=1), "prodcution", "did you mean 'production'"),
        (ModelRef("wine", version=9), "production", "holds no version"),
        (ModelRef("wein", version=1), "production", "did you mean 'wine'"),
    ],
)
def test_unknown_names_are_not_found(registry, promoter, ref, stage, said):
    with pytest.raises(NotFound, match=said):
        promoter.promote(ref, stage)
    assert registry.history("wine") == ()


def test_a_refusal_by_the_registry_comes_through(registry, promoter, tmp_path):
    registry.add("wine", tmp_path / "version-1")
    with pytest.raises(PromotionRefused, match="no gate has been run"):
        promote(promoter, 4)
    assert holder(registry) is None


def test_a_rollback_goes_to_the_version_before(registry, promoter):
    promote(promoter, 1, 2, 3)
    entry = promoter.rollback("wine", reason="complaints")
    assert (entry.action, entry.version, entry.previous) == (Action.ROLLED_BACK, 2, 3)
    assert (entry.reason, entry.requested_by) == ("complaints", "ada")
    assert holder(registry) == 2


def test_a_second_rollback_goes_further_back_and_not_forward_again(registry, promoter):
    promote(promoter, 1, 2, 3)
    assert [promoter.rollback("wine").version for _ in range(2)] == [2, 1]
    with pytest.raises(NotFound, match="held no version before this one"):
        promoter.rollback("wine")
    assert holder(registry) == 1


def test_what_was_promoted_after_a_rollback_is_rolled_back_to_the_version_it_replaced(registry, promoter):
    promote(promoter, 1, 2)
    promoter.rollback("wine")
    promote(promoter, 3)
    assert promoter.rollback("wine").version == 1


def test_a_version_that_was_rolled_back_by_mistake_comes_back_by_its_number(registry, promoter):
    promote(promoter, 1, 2)
    promoter.rollback("wine")
    assert promoter.rollback("wine", to=2).version == 2
    assert promoter.rollback("wine").version == 1


def test_a_rollback_to_a_version_by_number_skips_those_between(registry, promoter):
    promote(promoter, 1, 2, 3)
    assert promoter.rollback("wine", to=1).version == 1


@pytest.mark.parametrize(("promoted", "to"), [((), None), ((1,), None), ((1, 2), 3), ((1, 2), 9)])
def test_what_the_stage_never_held_is_not_found_and_nothing_moves(registry, promoter, promoted, to):
    promote(promoter, *promoted)
    before = registry.history("wine")
    with pytest.raises(NotFound, match=r"nothing to roll back to\. Run: lifecycle history wine"):
        promoter.rollback("wine", to=to)
    assert registry.history("wine") == before


def test_a_version_that_no_longer_loads_is_not_rolled_back_to(registry, promoter):
    def does_not_load(snapshot):
        raise DeploymentFailed("the model does not load")

    promote(promoter, 1, 2)
    before = registry.history("wine")
    with pytest.raises(DeploymentFailed):
        replace(promoter, prove_loadable=does_not_load).rollback("wine")
    assert (registry.history("wine"), holder(registry)) == (before, 2)


def test_a_version_whose_files_changed_is_not_rolled_back_to(registry, promoter, tmp_path):
    promote(promoter, 1, 2)
    for copy in tmp_path.glob("snapshots/*/weights"):
        copy.chmod(0o600)
        copy.write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        promoter.rollback("wine")
    assert holder(registry) == 2


def test_what_is_proven_loadable_are_the_files_that_were_promoted(registry, promoter):
    proven = []
    promote(promoter, 1, 2)
    replace(promoter, prove_loadable=proven.append).rollback("wine")
    assert [snapshot.digest for snapshot in proven] == [registry.history("wine")[0].digest]


def test_held_is_what_stage_and_ledger_agree_on(registry, promoter):
    with pytest.raises(NotFound):
        promoter.held("wine", PRODUCTION)
    promote(promoter, 1, 2)
    held = promoter.held("wine", PRODUCTION)
    assert (held.version.version, held.digest) == (2, registry.history("wine")[-1].digest)


def test_what_the_ledger_does_not_know_of_is_not_held(registry, promoter):
    promote(promoter, 1)
    registry._versions["wine"] = [
        replace(v, stage="Production" if v.version == 3 else "Archived") for v in registry.versions("wine")
    ]
    with pytest.raises(NotPromoted, match="version 3, which no promotion put there"):
        promoter.held("wine", PRODUCTION)


# Overrides


def test_an_override_speaks_of_the_files_that_are_proven_to_load_and_says_when_it_ends(registry, promoter):
    proven = []
    registry.may_override = True
    now = datetime.now(UTC)
    promoter = replace(promoter, prove_loadable=proven.append, clock=lambda: now)
    entry = promoter.override(ModelRef("wine", version=2), "production", "the shop is down", timedelta(hours=4))
    assert (entry.action, entry.version, entry.until) == (Action.OVERRIDDEN, 2, now + timedelta(hours=4))
    assert [snapshot.digest for snapshot in proven] == [entry.digest]
    assert (entry.reason, entry.requested_by) == ("the shop is down", "ada")
    assert holder(registry) == 2


def test_a_version_that_does_not_load_is_not_put_in_by_override(registry, promoter):
    def does_not_load(snapshot):
        raise DeploymentFailed("the model does not load")

    registry.may_override = True
    with pytest.raises(DeploymentFailed):
        replace(promoter, prove_loadable=does_not_load).override(
            ModelRef("wine", version=2), "production", "down", timedelta(hours=1)
        )
    assert (registry.history("wine"), holder(registry)) == ((), None)


@pytest.mark.parametrize(
    ("reason", "lasts"),
    [("", timedelta(hours=1)), ("down", timedelta(days=8)), ("down", timedelta()), ("down", -timedelta(hours=1))],
)
def test_an_override_without_a_reason_or_an_end_is_refused(registry, promoter, reason, lasts):
    registry.may_override = True
    with pytest.raises(PromotionRefused):
        promoter.override(ModelRef("wine", version=2), "production", reason, lasts)
    assert holder(registry) is None


def test_what_was_overridden_is_held_until_it_ends(registry, promoter):
    registry.may_override = True
    promoter.override(ModelRef("wine", version=2), "production", "down", timedelta(hours=1))
    assert promoter.held("wine", PRODUCTION).version.version == 2
    later = replace(promoter, clock=lambda: datetime.now(UTC) + timedelta(hours=2))
    with pytest.raises(NotPromoted, match=r"has ended.*or lifecycle rollback wine"):
        later.held("wine", PRODUCTION)
    promote(promoter, 2)
    assert later.held("wine", PRODUCTION).version.version == 2


def test_a_rollback_passes_over_what_nothing_has_judged(registry, promoter):
    registry.may_override = True
    promote(promoter, 1)
    promoter.override(ModelRef("wine", version=2), "production", "down", timedelta(hours=1))
    promote(promoter, 3)
    assert promoter.rollback("wine").version == 1


def test_a_rollback_from_an_override_goes_to_what_was_there_before(registry, promoter):
    registry.may_override = True
    promote(promoter, 1)
    promoter.override(ModelRef("wine", version=2), "production", "down", timedelta(hours=1))
    assert promoter.rollback("wine").version == 1
    with pytest.raises(PromotionRefused, match="by its gates"):
        promoter.rollback("wine", to=2)
