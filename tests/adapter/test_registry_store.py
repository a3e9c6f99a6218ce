"""MLflow's registry store with the guard inside: every way to a guarded stage is checked, the rest is MLflow's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext
from mlflow_lifecycle import model_transaction
from mlflow_lifecycle.guarded_store import GuardedStore, GuardedWorkspaceStore

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind

FREE = ModelPolicy(())
"""Guards nothing."""

# What the guard does about each public method of MLflow's store. An upgrade that adds one fails here until
# somebody has read it and put it into this table.
DECISIONS = {
    "guarded": {
        "transition_model_version_stage",
        "set_registered_model_alias",
        "delete_registered_model_alias",
        "delete_model_version",
        "delete_registered_model",
        "rename_registered_model",
    },
    "reserved tags": {
        "create_registered_model",
        "create_model_version",
        "set_model_version_tag",
        "delete_model_version_tag",
        "set_registered_model_tag",
        "delete_registered_model_tag",
    },
    "ends in a method above": {
        "copy_model_version",  # create_registered_model, create_model_version
        "create_prompt",
        "create_prompt_version",
        "delete_prompt",
        "delete_prompt_alias",
        "delete_prompt_tag",
        "delete_prompt_version",
        "delete_prompt_version_tag",
        "set_prompt_alias",
        "set_prompt_tag",
        "set_prompt_version_tag",
        "link_prompt_version_to_model",  # a tag of a logged model
        "link_prompt_version_to_run",  # a tag of a run
        "link_prompts_to_trace",
    },
    "passes: writes nothing that a stage or alias depends on": {
        "update_registered_model",  # the description
        "update_model_version",  # the description
        "create_webhook",
        "update_webhook",
        "delete_webhook",
        "test_webhook",
    },
    "passes: reads": {
        "get_latest_versions",
        "get_model_version",
        "get_model_version_by_alias",
        "get_model_version_download_uri",
        "get_prompt",
        "get_prompt_version",
        "get_prompt_version_by_alias",
        "get_registered_model",
        "get_webhook",
        "list_webhooks",
        "list_webhooks_by_event",
        "search_model_versions",
        "search_prompt_versions",
        "search_prompts",
        "search_registered_models",
        "supports_workspaces",
    },
}
OVERRIDDEN = DECISIONS["guarded"] | DECISIONS["reserved tags"]


# Every door is known


def test_every_public_method_has_a_decision():
    public = {
        name for store in (AbstractStore, SqlAlchemyStore) for name in dir(store) if not name.startswith("_")
    }
    methods = {name for name in public if name != "CREATE_MODEL_VERSION_RETRIES"}
    decided = [name for names in DECISIONS.values() for name in names]
    assert sorted(decided) == sorted(methods)


def test_decisions_are_what_the_code_does():
    own = {name for name in vars(GuardedStore) if not name.startswith("_")}
    assert own == OVERRIDDEN
    assert not {name for name in vars(GuardedWorkspaceStore) if not name.startswith("_")}


def test_the_sources_of_prompts_are_those_that_mlflow_has():
    assert model_transaction._PROMPT_SOURCES == _PROMPT_SOURCE_PLACEHOLDERS


# Stages


@pytest.mark.database
@pytest.mark.parametrize("stage", ["Production", "production", "PRODUCTION", "pRoDuCtIoN"])
@pytest.mark.parametrize("archive", [True, False])
def test_a_stage_is_refused_in_any_letter_case(registry, stage, archive):
    words = registry.refused(registry.store.transition_model_version_stage, "wine", 1, stage, archive)
    assert "Run: lifecycle gate run models:/wine/1 --stage production" in words
    assert registry.state() == (["None", "None"], {})
    (entry,) = registry.ledger()
    assert (entry.action, entry.detail, entry.actor) == (Action.REFUSED, words, "unauthenticated")


@pytest.mark.database
def test_with_evidence_the_stage_menu_promotes_stage_and_alias(registry):
    registry.judge(1)
    version = registry.store.transition_model_version_stage("wine", "1", "production", False)
    assert (version.current_stage, list(version.aliases)) == ("Production", ["champion"])
    registry.judge(2)
    registry.store.transition_model_version_stage("wine", "2", "Production", False)
    assert registry.state() == (["Archived", "Production"], {"champion": 2})
    assert [(e.action, e.version, e.previous) for e in registry.ledger()] == [
        (Action.PROMOTED, 1, None),
        (Action.PROMOTED, 2, 1),
    ]


@pytest.mark.database
@pytest.mark.parametrize("stage", ["None", "Archived", "archived"])
def test_leaving_is_allowed_recorded_and_takes_the_alias_along(registry, stage):
    registry.promote()
    version = registry.store.transition_model_version_stage("wine", 1, stage, False)
    assert (version.current_stage, list(version.aliases)) == (stage.title(), [])
    assert registry.state() == ([stage.title(), "None"], {})
    last = registry.ledger()[-1]
    assert (last.action, last.stage, last.version) == (Action.DEMOTED, "production", 1)
    assert broken_links(registry.ledger()) == []


@pytest.mark.database
def test_moves_between_unguarded_stages_leave_no_trace(registry):
    for stage in ("Archived", "None", "None"):
        registry.store.transition_model_version_stage("wine", 1, stage, False)
    assert registry.ledger() == ()


def test_a_model_without_guarded_stages_is_as_mlflow_has_it(registry):
    store = registry.open(free=FREE)
    registry.add("free")
    store.transition_model_version_stage("free", 1, "Production", True)
    store.set_registered_model_alias("free", "champion", 1)
    assert registry.state("free") == (["Production"], {"champion": 1})
    store.delete_registered_model_alias("free", "champion")
    store.transition_model_version_stage("free", 1, "None", False)
    store.rename_registered_model("free", "wine2")
    assert registry.ledger("wine2") == ()


@pytest.mark.database
def test_versions_that_were_in_the_stage_before_the_guard_came_make_room(registry):
    lax = registry.open_with(PolicyBook(FREE))
    for number in (1, 2):
        lax.transition_model_version_stage("wine", number, "Production", False)
    registry.open()
    registry.promote(1)
    assert registry.state() == (["Production", "Archived"], {"champion": 1})


# Aliases


@pytest.mark.database
def test_a_guarded_alias_is_refused_and_with_evidence_moves_the_stage_too(registry):
    words = registry.refused(registry.store.set_registered_model_alias, "wine", "champion", 1)
    assert "lifecycle gate run" in words
    assert registry.state() == (["None", "None"], {})
    registry.judge(1)
    registry.store.set_registered_model_alias("wine", "champion", "1")
    assert registry.state() == (["Production", "None"], {"champion": 1})


@pytest.mark.database
@pytest.mark.parametrize("alias", ["Champion", "chàmpion", "champ\u0131on", "\uff43hampion", "chämpiøn"])
def test_look_alikes_of_a_guarded_alias_are_refused(registry, alias):
    """MySQL takes them for one and the same."""
    registry.judge(1)
    assert "use that spelling" in registry.refused(registry.store.set_registered_model_alias, "wine", alias, 1)
    assert registry.state() == (["None", "None"], {})


@pytest.mark.database
def test_a_guarded_alias_stays_with_its_stage(registry):
    registry.store.delete_registered_model_alias("wine", "champion")  # it isn't there: as in MLflow, no error
    registry.promote()
    for alias in ("champion", "Champion", "chàmpion"):
        assert "Archived" in registry.refused(registry.store.delete_registered_model_alias, "wine", alias)
    assert registry.state() == (["Production", "None"], {"champion": 1})


@pytest.mark.database
def test_a_look_alike_from_before_the_guard_came_can_be_deleted(registry):
    registry.open_with(PolicyBook(FREE)).set_registered_model_alias("wine", "Champion", 2)
    registry.open()
    registry.promote(1)
    registry.store.delete_registered_model_alias("wine", "Champion")
    assert registry.state() == (["Production", "None"], {"champion": 1})


@pytest.mark.database
def test_other_aliases_are_free(registry):
    for alias in ("challenger", "champions", "champio", "shampion", "チャンピオン"):
        registry.store.set_registered_model_alias("wine", alias, 2)
        registry.store.delete_registered_model_alias("wine", alias)
    assert registry.state() == (["None", "None"], {})


@pytest.mark.database
def test_prompts_keep_their_aliases(registry):
    registry.store.create_prompt("greeting")
    registry.store.create_prompt_version("greeting", "Hello {{name}}")
    registry.store.set_prompt_alias("greeting", "champion", 1)
    assert registry.store.get_prompt_version_by_alias("greeting", "champion").version == 1
    registry.store.delete_prompt_alias("greeting", "champion")


def test_a_model_that_calls_itself_a_prompt_is_guarded_all_the_same(registry):
    registry.store.set_registered_model_tag("wine", RegisteredModelTag("mlflow.prompt.is_prompt", "true"))
    registry.store.set_model_version_tag("wine", 1, ModelVersionTag("mlflow.prompt.is_prompt", "true"))
    registry.refused(registry.store.set_registered_model_alias, "wine", "champion", 1)
    registry.refused(registry.store.set_prompt_alias, "wine", "champion", 1)


# Asking


@pytest.mark.database
@pytest.mark.parametrize("name", ["nowhere", "wine"])
def test_what_does_not_exist_is_not_found(registry, name):
    store = registry.store
    for call in (
        lambda: registry.deliver(registry.evidence(9, model=name)),
        lambda: registry.ask(PromotionRequest(name, 9, "production")),
        lambda: store.transition_model_version_stage(name, "9", "Production", False),
        lambda: store.transition_model_version_stage(name, "9", "Archived", False),
        lambda: store.set_registered_model_alias(name, "champion", "9"),
        lambda: store.delete_model_version(name, "9"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_mlflows_own_word_for_a_stage_will_do_in_a_request(registry):
    registry.judge(1)
    registry.ask(PromotionRequest("wine", 1, "PRODUCTION"))
    assert registry.state() == (["Production", "None"], {"champion": 1})


@pytest.mark.database
def test_a_conflict_names_the_winner_and_is_a_409(registry):
    registry.promote(2)
    registry.judge(1)
    late = PromotionRequest("wine", 1, "production", expected=0)
    assert "version 2 holds Production" in registry.refused(registry.ask, late, status=409)
    assert len(registry.ledger()) == 1


@pytest.mark.database
def test_an_alias_that_strayed_is_put_right_by_asking_again(registry):
    registry.promote()
    registry.open_with(PolicyBook(FREE)).set_registered_model_alias("wine", "champion", 2)
    registry.open()
    registry.ask(PromotionRequest("wine", 1, "production"))
    assert registry.state() == (["Production", "None"], {"champion": 1})
    assert len(registry.ledger()) == 1


def test_a_changed_policy_makes_old_evidence_worthless(registry):
    registry.judge(1)
    production = registry.production
    registry.open(replace(production, gates=(*production.gates, GateSpec("performance"))))
    assert "the policy has changed" in registry.refused(registry.move)


@pytest.mark.database
def test_rollback_through_the_tag(registry):
    registry.promote(1)
    registry.promote(2)
    registry.ask(PromotionRequest("wine", 1, "production", RequestKind.ROLLBACK, reason="late answers"))
    assert registry.state() == (["Production", "Archived"], {"champion": 1})
    assert registry.ledger()[-1].reason == "late answers"


@pytest.mark.database
def test_the_guard_counts_attempts_itself(registry):
    registry.open(replace(registry.production, max_attempts=2))
    for run in range(3):
        registry.deliver(registry.evidence(1, attempt=1, run_id=f"run{run}"))
    assert "· attempt 3 ·" in registry.shown()["lifecycle.production"]
    said = registry.refused(registry.move)
    assert "have been run 2 times for production, and max_attempts is 2" in said


# Workspaces


@pytest.mark.database
def test_workspaces_keep_their_models_apart(registry, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    store = registry.open()
    assert store.supports_workspaces
    for workspace in ("cellar", "vineyard"):
        with WorkspaceContext(workspace):
            store.create_registered_model("beer")
            files = registry.files(1, "beer")
            files.mkdir(parents=True, exist_ok=True)
            (files / "MLmodel").write_text("flavors: {}")
            store.create_model_version("beer", files.as_uri())
    with WorkspaceContext("cellar"):
        registry.promote(model="beer")
    with WorkspaceContext("vineyard"):
        registry.refused(registry.move, 1, "Production", "beer")
        assert registry.state("beer") == (["None"], {})
    with WorkspaceContext("cellar"):
        assert registry.state("beer") == (["Production"], {"champion": 1})
