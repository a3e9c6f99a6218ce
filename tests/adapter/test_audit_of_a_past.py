"""Whatever people do through the guard, an audit finds it whole; what they do behind the guard, it names."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from mlflow_lifecycle.guarded_store import GuardedWorkspaceStore

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Outcome
from lifecycle.promotion.audit import audit
from lifecycle.promotion.database import one_moment
from lifecycle.registry import tags

PROD = "prod.wine"


@pytest.fixture
def policies(registry: Any) -> PolicyBook:
    default = ModelPolicy((registry.staging, replace(registry.production, after="staging")))
    return PolicyBook(default, {PROD: replace(default, environment="production")})


def breaks(registry: Any, policies: PolicyBook) -> list[str]:
    with one_moment(registry.store.engine) as connection:
        return [found.message for found in audit(connection, registry.trust, policies).breaks]


def rolled_back(registry: Any, version: int, model: str = "wine") -> None:
    registry.ask(PromotionRequest(model, version, "production", RequestKind.ROLLBACK, reason="complaints"))


def test_a_past_with_everything_in_it_is_whole(registry, policies):
    registry.open_with(policies)
    registry.refused(registry.move, 1)
    registry.deliver(replace(registry.evidence(1), verdicts=()))
    registry.refused(registry.move, 1)
    registry.promote(1, registry.staging)
    registry.judge(1)
    registry.approve("bob")
    registry.move(1)
    registry.promote(2, registry.staging)
    registry.promote(2)
    rolled_back(registry, 1)
    registry.ahead = timedelta(seconds=5)
    registry.override(2)
    registry.store.transition_model_version_stage("wine", 2, "Archived", False)
    registry.promote(1, registry.staging)
    assert breaks(registry, policies) == []


def test_a_version_on_its_way_leaves_one_stage_for_the_next(registry, policies):
    registry.open_with(policies)
    registry.promote(1, registry.staging)
    registry.promote(1)
    registry.promote(1, registry.staging)
    assert registry.state()[0] == ["Staging", "None"]
    assert breaks(registry, policies) == []


def test_copies_in_an_environment_are_whole_and_so_are_rollbacks_there(registry, policies):
    registry.open_with(policies)
    registry.store.create_registered_model(PROD)
    for version in (1, 2):
        registry.promote(version, registry.staging)
        registry.judge(version)
        registry.store.create_model_version(PROD, f"models:/wine/{version}")
    rolled_back(registry, 1, PROD)
    assert registry.state(PROD)[0] == ["Production", "Archived"]
    assert breaks(registry, policies) == []


def test_models_that_were_deleted_renamed_or_made_again_are_whole(registry, policies):
    registry.open_with(policies)
    registry.promote(1, registry.staging)
    registry.move(1, "Archived")
    registry.store.rename_registered_model("wine", "port")
    registry.refused(registry.move, 2, "Production", "port")
    registry.store.delete_registered_model("port")
    registry.store.create_registered_model("wine")
    registry.store.create_model_version("wine", registry.files(1).as_uri())
    registry.promote(1, registry.staging)
    assert len(registry.sql("SELECT * FROM lifecycle_heads")) == 3
    assert breaks(registry, policies) == []


def test_prompts_are_nobodys_business(registry, policies):
    registry.open_with(policies)
    registry.store.create_registered_model("greeting")
    registry.store.create_model_version("greeting", "prompt-template")
    registry.store.set_registered_model_alias("greeting", "champion", 1)
    assert breaks(registry, policies) == []


def test_evidence_of_a_failed_gate_is_whole(registry, policies):
    registry.open_with(policies)
    record = registry.evidence(1)
    failed = tuple(replace(v, outcome=Outcome.FAILED) for v in record.verdicts)
    registry.deliver(replace(record, verdicts=failed))
    assert breaks(registry, policies) == []
    assert tags.SUMMARY + "production" in registry.shown()


def test_workspaces_have_ledgers_of_their_own(registry, policies, monkeypatch):
    from mlflow.utils.workspace_context import WorkspaceContext

    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    store = registry.open_with(policies)
    assert isinstance(store, GuardedWorkspaceStore)
    with WorkspaceContext("cellar"):
        store.create_registered_model("wine")
        store.create_model_version("wine", registry.files(1).as_uri())
        registry.promote(1, registry.staging)
    assert breaks(registry, policies) == []
    registry.sql("UPDATE model_versions SET current_stage = 'Production' WHERE workspace = 'cellar'")
    assert any(
        "Production of wine holds version 1, which no promotion put there" in message
        for message in breaks(registry, policies)
    )


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE model_versions SET current_stage = 'Production' WHERE version = 2",
            "Production of wine holds version 2, which no promotion put there",
        ),
        ("UPDATE registered_model_aliases SET version = 2", "alias champion of wine points to version 2"),
        (
            "UPDATE lifecycle_ledger SET action = 'REFUSED' WHERE sequence = 1",
            "is not what its columns say (action)",
        ),
        ("DELETE FROM lifecycle_evidence", "which is not on record for it"),
    ],
)
def test_what_is_done_behind_the_guard_is_named(registry, policies, statement, said):
    registry.open_with(policies)
    registry.promote(1, registry.staging)
    registry.promote(1)
    assert breaks(registry, policies) == []
    registry.sql(statement)
    assert any(said in message for message in breaks(registry, policies))
