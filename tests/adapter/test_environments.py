"""Models that are environments: "Promote model" copies a version into one, and that is a promotion."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag
from mlflow.exceptions import MlflowException

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.policy import ModelPolicy, PolicyBook

PROD = "prod.wine"


@pytest.fixture
def prod(registry: Any) -> Any:
    """The registry, in which ``prod.wine`` stands for production; ``beer`` is another such model's origin."""
    default = ModelPolicy((registry.staging, replace(registry.production, after="staging")))
    registry.open_with(PolicyBook(default, {PROD: replace(default, environment="production")}))
    registry.store.create_registered_model(PROD)
    return registry


def ready(registry: Any, version: int = 1) -> None:
    """Through staging, and judged for production."""
    registry.promote(version, registry.staging)
    registry.judge(version)


def copied(registry: Any, version: int = 1, model: str = "wine") -> Any:
    """What ``MlflowClient.copy_model_version`` sends."""
    carried = [ModelVersionTag(key, value) for key, value in registry.shown(version, model).items()]
    return registry.store.create_model_version(PROD, f"models:/{model}/{version}", tags=carried)


def promote_button(http: Any, source: str, prefix: str = "/ajax-api/2.0", **fields: Any) -> Any:
    """What MLflow's UI sends."""
    return http.post(f"{prefix}/mlflow/model-versions/create", json={"name": PROD, "source": source} | fields)


def nothing_came_in(registry: Any) -> bool:
    return bool(registry.state(PROD) == ([], {}) and registry.ledger(PROD) == ())


@pytest.mark.database
def test_a_copy_needs_what_the_stage_needs(prod):
    for step, missing in (
        (lambda: None, "no gate has been run for it"),
        (lambda: prod.judge(1), "has not been promoted to staging with these files"),
    ):
        step()
        words = prod.refused(copied, prod)
        assert missing in words
        assert nothing_came_in(prod)
    prod.promote(1, prod.staging)
    assert copied(prod).current_stage == "Production"


@pytest.mark.database
def test_the_copy_is_in_the_stage_with_its_alias_and_recorded_there(prod):
    ready(prod)
    prod.write("team", "cellar")
    with prod.signed_in("ada"):
        copy = copied(prod)
    assert (copy.name, int(copy.version), list(copy.aliases)) == (PROD, 1, ["champion"])
    assert prod.state(PROD) == (["Production"], {"champion": 1})
    (entry,) = prod.ledger(PROD)
    assert (entry.action, entry.stage, entry.version, entry.actor) == (Action.PROMOTED, "production", 1, "ada")
    (judged,) = prod.sql("SELECT evidence_id FROM lifecycle_evidence WHERE stage = 'production'")
    assert (entry.digest, entry.evidence_id) == (prod.evidence().digest, *judged)
    assert entry.reason == "copied from models:/wine/1"
    assert broken_links(prod.ledger(PROD)) == []
    shown = prod.shown(1, PROD)
    assert shown["team"] == "cellar"
    assert shown["lifecycle.proof.production"] == prod.shown()["lifecycle.evidence.production"]
    assert "lifecycle.evidence.production" not in shown
    assert prod.state() == (["Staging", "None"], {})


def test_mlflows_own_copying_says_what_was_missing_and_copies_when_nothing_is(prod):
    original = prod.store.get_model_version("wine", 1)
    with pytest.raises(MlflowException, match="Run: lifecycle gate run models:/wine/1 --stage production"):
        prod.store.copy_model_version(original, PROD)
    assert nothing_came_in(prod)
    ready(prod)
    copy = prod.store.copy_model_version(prod.store.get_model_version("wine", 1), PROD)
    assert (copy.name, copy.current_stage, list(copy.aliases)) == (PROD, "Production", ["champion"])


@pytest.mark.database
def test_a_second_copy_takes_the_place_of_the_first(prod):
    for version in (1, 2):
        ready(prod, version)
        copied(prod, version)
    assert prod.state(PROD) == (["Archived", "Production"], {"champion": 2})
    assert [(e.version, e.previous) for e in prod.ledger(PROD)] == [(1, None), (2, 1)]


@pytest.mark.database
def test_a_refused_copy_is_in_the_ledger_of_the_version_it_was_to_be_made_of(prod):
    words = prod.refused(copied, prod)
    last = prod.ledger()[-1]
    assert (last.action, last.stage, last.version) == (Action.REFUSED, "production", 1)
    assert last.detail in words
    assert PROD in last.detail
    assert "Run: lifecycle gate run models:/wine/1 --stage production" in words


@pytest.mark.parametrize("prefix", ["/api/2.0", "/ajax-api/2.0"])
def test_the_promote_button_is_refused_then_allowed(prod, http, prefix):
    answer = promote_button(http, "models:/wine/1", prefix)
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert "may not be copied into prod.wine" in answer.json["message"]
    assert nothing_came_in(prod)
    ready(prod)
    sent = [{"key": key, "value": value} for key, value in prod.shown().items()]
    answer = promote_button(http, "models:/wine/1", prefix, tags=sent)
    assert answer.status_code == 200, answer.json
    assert json.loads(answer.data)["model_version"]["current_stage"] == "Production"
    assert prod.state(PROD) == (["Production"], {"champion": 1})


SOURCES = [
    "models:/wine@champion",
    "models:/wine/Production",
    "models:/wine/Staging",
    "models:/wine/latest",
    "models:/m-0123456789abcdef",
    "models:/wine",
    "models:/wine/",
    "models:/wine/1/2",
    "models:/",
    "models:",
    "runs:/0123456789abcdef/model",
    "file:///nowhere",
    "/nowhere",
    "s3://bucket/model",
    "mlflow-artifacts:/1/models/m/artifacts",
    "dummy-source",
    "prompt-template",
    "",
]


@pytest.mark.parametrize("source", SOURCES)
def test_anything_but_a_copy_of_a_version_is_refused_with_the_way_to_go(prod, source):
    ready(prod)
    prod.move(1, "Production")
    words = prod.refused(prod.store.create_model_version, PROD, source)
    assert "takes nothing but copies of versions that passed its gates" in words
    assert "lifecycle gate run models:/NAME/VERSION --stage production" in words
    assert nothing_came_in(prod)


def test_a_source_that_does_not_exist_is_not_found(prod):
    for source in ("models:/wine/9", "models:/nowhere/1"):
        prod.refused(prod.store.create_model_version, PROD, source, status=404)
    assert nothing_came_in(prod)


def test_files_of_the_environment_models_own_folder_are_no_way_in_either(prod):
    folder = prod.files(1, PROD)
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    prod.refused(prod.store.create_model_version, PROD, folder.as_uri())
    prod.refused(prod.store.create_model_version, PROD, f"models:/{PROD}/1", status=404)


def test_a_version_of_the_environment_is_copied_into_it_again_by_its_own_evidence_alone(prod):
    ready(prod)
    copied(prod)
    assert "no gate has been run" in prod.refused(copied, prod, 1, PROD)
    assert prod.state(PROD) == (["Production"], {"champion": 1})


def test_changed_files_are_not_copied(prod):
    ready(prod)
    (prod.files(1) / "MLmodel").write_text("other")
    assert "its files have changed since its gates ran" in prod.refused(copied, prod)
    assert nothing_came_in(prod)


@pytest.mark.database
def test_a_copy_brings_no_reserved_tags_along(prod):
    ready(prod)
    tag = ModelVersionTag("lifecycle.history", "[]")
    created = prod.store.create_model_version(PROD, "models:/wine/1", None, [tag])
    assert created.tags["lifecycle.history"] != "[]"


def test_an_environment_is_neither_a_new_name_nor_an_old_one(prod):
    store = prod.store
    store.delete_registered_model(PROD)
    assert "is the environment production" in prod.refused(store.rename_registered_model, "wine", PROD)
    store.create_registered_model(PROD)
    assert "is the environment production" in prod.refused(store.rename_registered_model, PROD, "beer")


@pytest.mark.database
def test_what_an_environment_holds_is_not_taken_away(prod):
    ready(prod)
    copied(prod)
    store = prod.store
    for call, *args in (
        (store.delete_model_version, PROD, 1),
        (store.delete_registered_model, PROD),
        (store.delete_registered_model_alias, PROD, "champion"),
        (store.rename_registered_model, PROD, "beer"),
    ):
        prod.refused(call, *args)
    assert prod.state(PROD) == (["Production"], {"champion": 1})


def test_the_stages_of_an_environment_are_guarded_too(prod):
    for version in (1, 2):
        ready(prod, version)
        copied(prod, version)
    prod.refused(prod.move, 1, "Production", PROD)
    prod.refused(prod.store.set_registered_model_alias, PROD, "champion", 1)
    assert prod.state(PROD) == (["Archived", "Production"], {"champion": 2})


@pytest.mark.database
def test_a_name_that_some_database_takes_for_the_environments_is_one(prod):
    prod.store.create_registered_model("Prod.Wine")
    prod.refused(prod.store.create_model_version, "Prod.Wine", "file:///nowhere")


def test_an_environment_may_be_that_of_a_stage_that_only_the_origin_knows_by_its_own_rules(prod):
    strict = replace(prod.production, gates=(*prod.production.gates, prod.production.gates[0]), after=None)
    default = ModelPolicy((prod.staging, prod.production))
    prod.open_with(
        PolicyBook(default, {PROD: replace(default, environment="production"), "wine": ModelPolicy((strict,))})
    )
    prod.judge(1, prod.production)
    assert "the policy has changed" in prod.refused(copied, prod)
    prod.judge(1, strict)
    assert copied(prod).current_stage == "Production"


def test_a_version_of_a_model_without_that_stage_is_not_copied(prod):
    default = prod.store._guard.policies.default
    prod.open_with(
        PolicyBook(
            default, {PROD: replace(default, environment="production"), "wine": ModelPolicy((prod.staging,))}
        )
    )
    assert "unknown stage 'production'" in prod.refused(copied, prod, status=404)
