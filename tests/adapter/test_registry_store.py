"""MLflow's registry store with the guard inside: every way to a guarded stage is checked, the rest is MLflow's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask
import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import _PROMPT_SOURCE_PLACEHOLDERS
from mlflow.store.model_registry.abstract_store import AbstractStore
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.workspace_context import WorkspaceContext
from mlflow_lifecycle import locked_model
from mlflow_lifecycle.registry_store import GuardedStore, GuardedWorkspaceStore, guarded_store

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import Action, LedgerEntry, broken_links
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion import Kind, PromotionRequest
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.promotion.ledger import ModelLedger
from lifecycle.promotion.tables import model_uid
from lifecycle.registry import tags

GATES = (GateSpec("signature"), GateSpec("drift"))
STAGING = StagePolicy("staging", "Staging", GATES)
PRODUCTION = StagePolicy("production", "Production", GATES, alias="champion")
POLICIES = PolicyBook(
    ModelPolicy((STAGING, PRODUCTION)),
    {"free": ModelPolicy(()), "live": ModelPolicy((replace(PRODUCTION, name="live", alias="live"),))},
)

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


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "empty.db"
    SqlAlchemyStore(f"sqlite:///{path}").engine.dispose()
    return path


@pytest.fixture
def open_store(tmp_path: Path, empty_database: Path) -> Iterator[Callable[..., GuardedStore]]:
    """Opens the same database as often as wanted, each time with the policies given."""
    database = shutil.copy(empty_database, tmp_path / "registry.db")
    store = None

    def opened(policies: PolicyBook = POLICIES) -> GuardedStore:
        nonlocal store
        store = guarded_store(f"lifecycle+sqlite:///{database}", policies)
        return store

    yield opened
    if store is not None:
        store.engine.dispose()


@pytest.fixture
def store(open_store: Callable[..., GuardedStore]) -> GuardedStore:
    store = open_store()
    store.create_registered_model("wine")
    for number in (1, 2):
        store.create_model_version("wine", f"file:///nowhere/{number}")
    return store


def evidence(version: int = 1, policy: StagePolicy = PRODUCTION, model: str = "wine", **change: Any) -> Evidence:
    now = datetime.now(UTC)
    return replace(
        Evidence(
            model=model,
            version=version,
            stage=policy.name,
            digest=f"{version:064x}",
            policy_digest=policy.digest,
            verdicts=tuple(Verdict(g.name, Outcome.PASSED, f"{g.name}.ok", "fine") for g in policy.gates),
            created_at=now,
            expires_at=now + timedelta(days=1),
        ),
        **change,
    )


def deliver(store: GuardedStore, record: Evidence) -> None:
    tag = ModelVersionTag(tags.evidence_key(record.stage), record.to_json())
    store.set_model_version_tag(record.model, record.version, tag)


def ask(store: GuardedStore, request: PromotionRequest) -> None:
    tag = ModelVersionTag(tags.PROMOTION, request.to_json())
    store.set_model_version_tag(request.model, request.version, tag)


def promote(store: GuardedStore, version: int = 1, policy: StagePolicy = PRODUCTION, model: str = "wine") -> None:
    deliver(store, evidence(version, policy, model))
    ask(store, PromotionRequest(model, version, policy.name))


def ledger(store: GuardedStore, name: str = "wine") -> tuple[LedgerEntry, ...]:
    model = store.get_registered_model(name)
    with store.ManagedSessionMaker() as session:
        return ModelLedger(session, model_uid("default", name, model.creation_timestamp)).entries()


def state(store: GuardedStore, name: str = "wine") -> tuple[list[str], dict[str, int]]:
    """Stages of all versions, and where the aliases point."""
    versions = sorted(store.search_model_versions(f"name='{name}'"), key=lambda mv: int(mv.version))
    aliases = store.get_registered_model(name).aliases
    return [mv.current_stage for mv in versions], {alias: int(version) for alias, version in aliases.items()}


def refused(call: Callable[..., Any], *args: Any) -> str:
    """The words of a refusal, which must be a 403."""
    with pytest.raises(MlflowException) as caught:
        call(*args)
    assert caught.value.get_http_status_code() == 403, caught.value
    return caught.value.message


# Every door is known


def test_every_public_method_has_a_decision():
    public = {
        name for store in (AbstractStore, SqlAlchemyStore) for name in dir(store) if not name.startswith("_")
    }
    methods = {name for name in public if name != "CREATE_MODEL_VERSION_RETRIES"}
    decided = [name for names in DECISIONS.values() for name in names]
    assert sorted(decided) == sorted(methods)


def test_decisions_are_what_the_code_does():
    own = {name for name in vars(GuardedStore) if not name.startswith("_")} - {"ManagedSessionMaker"}
    assert own == OVERRIDDEN
    assert not {name for name in vars(GuardedWorkspaceStore) if not name.startswith("_")}


def test_the_sources_of_prompts_are_those_that_mlflow_has():
    assert locked_model._PROMPT_SOURCES == _PROMPT_SOURCE_PLACEHOLDERS


# Stages


@pytest.mark.parametrize("stage", ["Production", "production", "PRODUCTION", "pRoDuCtIoN"])
@pytest.mark.parametrize("archive", [True, False])
def test_a_stage_is_refused_in_any_letter_case(store, stage, archive):
    words = refused(store.transition_model_version_stage, "wine", 1, stage, archive)
    assert "Run: lifecycle gate run models:/wine/1 --stage production" in words
    assert state(store) == (["None", "None"], {})
    (entry,) = ledger(store)
    assert (entry.action, entry.detail, entry.actor) == (Action.REFUSED, words, "unauthenticated")


def test_with_evidence_the_stage_menu_promotes_stage_and_alias(store):
    deliver(store, evidence(1))
    version = store.transition_model_version_stage("wine", "1", "production", False)
    assert (version.current_stage, list(version.aliases)) == ("Production", ["champion"])
    deliver(store, evidence(2))
    store.transition_model_version_stage("wine", "2", "Production", False)
    assert state(store) == (["Archived", "Production"], {"champion": 2})
    assert [(e.action, e.version, e.previous) for e in ledger(store)] == [
        (Action.PROMOTED, 1, None),
        (Action.PROMOTED, 2, 1),
    ]


@pytest.mark.parametrize("stage", ["None", "Archived", "archived"])
def test_leaving_is_allowed_recorded_and_takes_the_alias_along(store, stage):
    promote(store)
    version = store.transition_model_version_stage("wine", 1, stage, False)
    assert (version.current_stage, list(version.aliases)) == (stage.title(), [])
    assert state(store) == ([stage.title(), "None"], {})
    last = ledger(store)[-1]
    assert (last.action, last.stage, last.version) == (Action.DEMOTED, "production", 1)
    assert broken_links(ledger(store)) == []


def test_moves_between_unguarded_stages_leave_no_trace(store):
    for stage in ("Archived", "None", "None"):
        store.transition_model_version_stage("wine", 1, stage, False)
    assert ledger(store) == ()


def test_a_model_without_guarded_stages_is_as_mlflow_has_it(store):
    store.create_registered_model("free")
    store.create_model_version("free", "file:///nowhere")
    store.transition_model_version_stage("free", 1, "Production", True)
    store.set_registered_model_alias("free", "champion", 1)
    assert state(store, "free") == (["Production"], {"champion": 1})
    store.delete_registered_model_alias("free", "champion")
    store.transition_model_version_stage("free", 1, "None", False)
    store.rename_registered_model("free", "wine2")
    assert ledger(store, "wine2") == ()


def test_versions_that_were_in_the_stage_before_the_guard_came_make_room(store, open_store):
    lax = open_store(PolicyBook(ModelPolicy(())))
    for number in (1, 2):
        lax.transition_model_version_stage("wine", number, "Production", False)
    store = open_store()
    promote(store, 1)
    assert state(store) == (["Production", "Archived"], {"champion": 1})


# Aliases


def test_a_guarded_alias_is_refused_and_with_evidence_moves_the_stage_too(store):
    assert "lifecycle gate run" in refused(store.set_registered_model_alias, "wine", "champion", 1)
    assert state(store) == (["None", "None"], {})
    deliver(store, evidence(1))
    store.set_registered_model_alias("wine", "champion", "1")
    assert state(store) == (["Production", "None"], {"champion": 1})


def test_look_alikes_of_a_guarded_alias_are_refused(store):
    deliver(store, evidence(1))
    assert "use that spelling" in refused(store.set_registered_model_alias, "wine", "Champion", 1)
    assert state(store) == (["None", "None"], {})


def test_a_guarded_alias_stays_with_its_stage(store):
    store.delete_registered_model_alias("wine", "champion")  # it isn't there: as in MLflow, no error
    promote(store)
    assert "Archived" in refused(store.delete_registered_model_alias, "wine", "champion")
    assert state(store) == (["Production", "None"], {"champion": 1})


def test_other_aliases_are_free(store):
    store.set_registered_model_alias("wine", "challenger", 2)
    store.delete_registered_model_alias("wine", "challenger")
    assert state(store) == (["None", "None"], {})


def test_prompts_keep_their_aliases(store):
    store.create_prompt("greeting")
    store.create_prompt_version("greeting", "Hello {{name}}")
    store.set_prompt_alias("greeting", "champion", 1)
    assert store.get_prompt_version_by_alias("greeting", "champion").version == 1
    store.delete_prompt_alias("greeting", "champion")


def test_a_model_that_calls_itself_a_prompt_is_guarded_all_the_same(store):
    store.set_registered_model_tag("wine", RegisteredModelTag("mlflow.prompt.is_prompt", "true"))
    store.set_model_version_tag("wine", 1, ModelVersionTag("mlflow.prompt.is_prompt", "true"))
    refused(store.set_registered_model_alias, "wine", "champion", 1)
    refused(store.set_prompt_alias, "wine", "champion", 1)


# Taking away what a stage holds


def test_what_holds_a_guarded_stage_is_neither_deleted_nor_renamed(store):
    promote(store)
    before = state(store)
    for call, *args in (
        (store.delete_model_version, "wine", "1"),
        (store.delete_registered_model, "wine"),
        (store.rename_registered_model, "wine", "wine2"),
    ):
        words = refused(call, *args)
        assert "Move version 1 to Archived first" in words
        assert "\n" not in words
    assert state(store) == before
    store.delete_model_version("wine", 2)
    store.transition_model_version_stage("wine", 1, "Archived", False)
    store.rename_registered_model("wine", "wine2")
    store.delete_registered_model("wine2")


def test_nothing_is_carried_unchecked_into_a_guarded_name(store):
    store.create_registered_model("free")
    store.create_model_version("free", "file:///nowhere")
    store.set_registered_model_alias("free", "live", 1)
    assert "alias live is guarded" in refused(store.rename_registered_model, "free", "live")
    store.transition_model_version_stage("free", 1, "Production", False)
    assert "in Production" in refused(store.rename_registered_model, "free", "live")


def test_a_model_made_again_under_the_old_name_inherits_nothing(store):
    deliver(store, evidence(1))
    store.delete_registered_model("wine")
    store.create_registered_model("wine")
    store.create_model_version("wine", "file:///elsewhere")
    refused(store.transition_model_version_stage, "wine", 1, "Production", False)
    assert [e.action for e in ledger(store)] == [Action.REFUSED]


# Tags


@pytest.mark.parametrize(
    "key", ["lifecycle.history", "lifecycle.production", "lifecycle.x", "LIFECYCLE.Promotion"]
)
def test_nobody_writes_or_deletes_reserved_tags(store, key):
    promote(store)
    before = store.get_model_version("wine", 1).tags
    for call, *args in (
        (store.set_model_version_tag, "wine", 1, ModelVersionTag(key, "x")),
        (store.delete_model_version_tag, "wine", 1, key),
        (store.set_registered_model_tag, "wine", RegisteredModelTag(key, "x")),
        (store.delete_registered_model_tag, "wine", key),
        (store.create_registered_model, "beer", [RegisteredModelTag(key, "x")]),
        (store.create_model_version, "wine", "file:///nowhere", None, [ModelVersionTag(key, "x")]),
        (store.set_prompt_version_tag, "wine", 1, key, "x"),
    ):
        assert tags.GUARD_SAYS in refused(call, *args)
    assert store.get_model_version("wine", 1).tags == before
    assert len(state(store)[0]) == 2


def test_evidence_and_requests_cannot_be_smuggled_in_at_creation(store):
    for key, value in (
        (tags.evidence_key("production"), evidence(3).to_json()),
        (tags.PROMOTION, PromotionRequest("wine", 3, "production").to_json()),
    ):
        refused(store.create_model_version, "wine", "file:///nowhere", None, [ModelVersionTag(key, value)])


def test_a_copy_of_a_promoted_version_is_unchecked_again(store):
    promote(store)
    store.set_model_version_tag("wine", 1, ModelVersionTag("team", "cellar"))
    copy = store.copy_model_version(store.get_model_version("wine", 1), "wine")
    assert (copy.current_stage, list(copy.aliases), copy.tags) == ("None", [], {"team": "cellar"})
    refused(store.transition_model_version_stage, "wine", copy.version, "Production", False)


def test_other_tags_are_peoples_own(store):
    store.set_model_version_tag("wine", 1, ModelVersionTag("team", "cellar"))
    store.set_registered_model_tag("wine", RegisteredModelTag("team", "cellar"))
    assert store.get_model_version("wine", 1).tags == {"team": "cellar"}
    store.delete_model_version_tag("wine", 1, "team")
    store.delete_registered_model_tag("wine", "team")
    store.create_registered_model("beer", [RegisteredModelTag("team", "cellar")], "all about beer")
    created = store.create_model_version("beer", "file:///nowhere", "r" * 32, [ModelVersionTag("a", "b")])
    assert (created.run_id, created.tags) == ("r" * 32, {"a": "b"})


def test_what_is_shown_follows_what_is_recorded(store):
    with pytest.raises(MlflowException):
        ask(store, PromotionRequest("wine", 1, "production"))
    promote(store)
    shown = store.get_model_version("wine", 1).tags
    assert shown["lifecycle.production"].startswith("PASSED ")
    assert tuple(tags.history_of(shown)) == ledger(store)
    assert Evidence.from_json(shown["lifecycle.evidence.production"]).version == 1
    assert tags.PROMOTION not in shown


def test_the_guard_counts_attempts_itself(store, open_store):
    limited = replace(PRODUCTION, max_attempts=2)
    store = open_store(PolicyBook(ModelPolicy((limited,))))
    for hours in (3, 2, 1):
        deliver(store, evidence(1, limited, created_at=datetime.now(UTC) - timedelta(hours=hours), attempt=1))
    assert "· attempt 3 ·" in store.get_model_version("wine", 1).tags["lifecycle.production"]
    said = refused(store.transition_model_version_stage, "wine", 1, "Production", True)
    assert "have been run 2 times for production, and max_attempts is 2" in said


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("lifecycle.evidence.production", "{}", 400),
        ("lifecycle.evidence.production", evidence(2).to_json(), 400),
        ("lifecycle.evidence.staging", evidence(1).to_json(), 400),
        ("lifecycle.evidence.", evidence(1).to_json(), 404),
        ("lifecycle.evidence.nowhere", evidence(1).to_json(), 404),
        ("lifecycle.evidence.production", "x" * 99_999, 400),
        ("lifecycle.promotion", "{}", 400),
        ("lifecycle.promotion", "[" * 7_000, 400),
        ("lifecycle.promotion", PromotionRequest("wine", 2, "production").to_json(), 400),
        ("lifecycle.promotion", PromotionRequest("wine", 1, "nowhere").to_json(), 404),
    ],
)
def test_what_is_wrong_is_a_4xx_and_changes_nothing(store, key, value, status):
    with pytest.raises(MlflowException) as caught:
        store.set_model_version_tag("wine", 1, ModelVersionTag(key, value))
    assert caught.value.get_http_status_code() == status
    assert "\n" not in caught.value.message
    assert ledger(store) == ()
    assert store.get_model_version("wine", 1).tags == {}


@pytest.mark.parametrize("name", ["nowhere", "wine"])
def test_what_does_not_exist_is_not_found(store, name):
    for call in (
        lambda: deliver(store, evidence(9, model=name)),
        lambda: ask(store, PromotionRequest(name, 9, "production")),
        lambda: store.transition_model_version_stage(name, "9", "Production", False),
        lambda: store.transition_model_version_stage(name, "9", "Archived", False),
        lambda: store.set_registered_model_alias(name, "champion", "9"),
        lambda: store.delete_model_version(name, "9"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_mlflows_own_word_for_a_stage_will_do_in_a_request(store):
    deliver(store, evidence(1))
    ask(store, PromotionRequest("wine", 1, "PRODUCTION"))
    assert state(store) == (["Production", "None"], {"champion": 1})


def test_a_conflict_names_the_winner_and_is_a_409(store):
    promote(store, 2)
    deliver(store, evidence(1))
    with pytest.raises(MlflowException, match="version 2 holds Production") as caught:
        ask(store, PromotionRequest("wine", 1, "production", expected=0))
    assert caught.value.get_http_status_code() == 409
    assert len(ledger(store)) == 1


def test_an_alias_that_strayed_is_put_right_by_asking_again(store, open_store):
    promote(store)
    open_store(PolicyBook(ModelPolicy(()))).set_registered_model_alias("wine", "champion", 2)
    ask(open_store(), PromotionRequest("wine", 1, "production"))
    assert state(store) == (["Production", "None"], {"champion": 1})
    assert len(ledger(store)) == 1


def test_a_changed_policy_makes_old_evidence_worthless(store, open_store):
    deliver(store, evidence(1))
    stricter = replace(PRODUCTION, gates=(*GATES, GateSpec("performance")))
    store = open_store(PolicyBook(ModelPolicy((stricter,))))
    assert "the policy has changed" in refused(store.transition_model_version_stage, "wine", 1, "Production", True)


def test_rollback_through_the_tag(store):
    promote(store, 1)
    promote(store, 2)
    ask(store, PromotionRequest("wine", 1, "production", Kind.ROLLBACK, reason="late answers"))
    assert state(store) == (["Production", "Archived"], {"champion": 1})
    assert ledger(store)[-1].reason == "late answers"


# Over HTTP


@pytest.fixture
def http(store: GuardedStore, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's own Flask app over our store, without a server."""
    from mlflow.server import app, handlers

    monkeypatch.setattr(handlers, "_model_registry_store", store)
    return app.test_client()


@pytest.mark.parametrize("prefix", ["/api/2.0", "/ajax-api/2.0"])
def test_the_ui_and_the_api_show_the_refusal_as_it_was_written(http, store, prefix):
    answer = http.post(
        f"{prefix}/mlflow/model-versions/transition-stage",
        json={"name": "wine", "version": "1", "stage": "production", "archive_existing_versions": True},
    )
    assert answer.status_code == 403
    assert answer.json["error_code"] == "PERMISSION_DENIED"
    assert answer.json["message"] == ledger(store)[-1].detail
    deliver(store, evidence(1))
    answer = http.post(
        f"{prefix}/mlflow/model-versions/transition-stage",
        json={"name": "wine", "version": "1", "stage": "production", "archive_existing_versions": True},
    )
    assert answer.status_code == 200
    assert answer.json["model_version"]["current_stage"] == "Production"


def test_an_authorization_header_that_nobody_checks_is_no_actor(http, store):
    http.post(
        "/api/2.0/mlflow/model-versions/transition-stage",
        json={"name": "wine", "version": "1", "stage": "Production"},
        auth=("admin", "guess"),
    )
    assert ledger(store)[-1].actor == "unauthenticated"


def test_the_promote_button_that_copies_a_version_leaves_the_evidence_behind(http, store):
    promote(store)
    original = store.get_model_version("wine", 1)
    answer = http.post(
        "/ajax-api/2.0/mlflow/model-versions/create",
        json={
            "name": "wine",
            "source": "models:/wine/1",
            "tags": [{"key": key, "value": value} for key, value in original.tags.items()],
        },
    )
    assert answer.status_code == 200, answer.json
    assert json.loads(answer.data)["model_version"].get("tags", []) == []


def test_the_actor_is_whom_mlflows_auth_app_found(store):
    app = flask.Flask("stands in for MLflow's auth app, which leaves the name of whom it let in here")

    def authenticate() -> None:
        flask.g.mlflow_authenticated_user = "ada"

    authenticate.__module__ = "mlflow.server.auth"
    app.before_request(authenticate)
    app.post("/promote")(lambda: promote(store) or "")
    assert app.test_client().post("/promote", auth=("admin", "guess")).status_code == 200
    assert ledger(store)[-1].actor == "ada"


# Workspaces


def test_workspaces_keep_their_models_apart(empty_database, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    database = shutil.copy(empty_database, tmp_path / "registry.db")
    store = guarded_store(f"lifecycle+sqlite:///{database}", POLICIES)
    assert store.supports_workspaces
    for workspace in ("cellar", "vineyard"):
        with WorkspaceContext(workspace):
            store.create_registered_model("wine")
            store.create_model_version("wine", f"file:///nowhere/{workspace}")
    with WorkspaceContext("cellar"):
        promote(store)
    with WorkspaceContext("vineyard"):
        refused(store.transition_model_version_stage, "wine", 1, "Production", True)
        assert state(store) == (["None"], {})
    with WorkspaceContext("cellar"):
        assert state(store) == (["Production"], {"champion": 1})
    store.engine.dispose()
