"""A stage may be an alias alone. It is guarded as the others are, by every way in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.promotion.audit import audit
from lifecycle.promotion.consistency import inconsistencies
from lifecycle.promotion.database import one_moment, open_database
from lifecycle.promotion.install import remove_guard, upgrade_registry
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore

CHALLENGER = StagePolicy("challenger", None, (GateSpec("signature"),), alias="challenger")
PREFIXES = ["/api/2.0", "/ajax-api/2.0"]

WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "alias": ("POST", "registered-models/alias", {"version": "1", "alias": "challenger"}),
    "tag": (
        "POST",
        "model-versions/set-tag",
        {
            "version": "1",
            "key": "lifecycle.promotion",
            "value": PromotionRequest("wine", 1, "challenger").to_json(),
        },
    ),
}


@pytest.fixture
def registry(registry: Any) -> Any:
    registry.open(registry.staging, CHALLENGER, registry.production)
    return registry


def book(registry: Any) -> PolicyBook:
    policies: PolicyBook = registry.store._guard.policies
    return policies


def breaks(registry: Any) -> list[str]:
    with open_database(registry.uri) as engine, one_moment(engine) as connection:
        return [found.message for found in audit(connection, registry.trust, book(registry)).breaks]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_setting_it_is_refused_without_evidence_and_allowed_with_it(registry, http, prefix, way):
    method, path, body = WAYS[way]
    answer = http.open(f"{prefix}/mlflow/{path}", method=method, json={"name": "wine"} | body)
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert answer.json["message"] == registry.ledger()[-1].detail
    assert "may not go to @challenger" in answer.json["message"]
    assert "Run: lifecycle gate run models:/wine/1 --stage challenger" in answer.json["message"]
    assert registry.state() == (["None", "None"], {})
    registry.judge(1, CHALLENGER)
    assert http.open(f"{prefix}/mlflow/{path}", method=method, json={"name": "wine"} | body).status_code == 200
    assert registry.state() == (["None", "None"], {"challenger": 1})
    assert [(e.action, e.stage) for e in registry.ledger()] == [
        (Action.REFUSED, "challenger"),
        (Action.PROMOTED, "challenger"),
    ]


def test_moving_it_needs_evidence_for_the_version_that_it_moves_to(registry):
    registry.promote(1, CHALLENGER)
    registry.refused(registry.store.set_registered_model_alias, "wine", "challenger", 2)
    assert registry.state() == (["None", "None"], {"challenger": 1})
    registry.promote(2, CHALLENGER)
    assert registry.state() == (["None", "None"], {"challenger": 2})
    assert registry.ledger()[-1].previous == 1
    registry.ask(PromotionRequest("wine", 1, "challenger", RequestKind.ROLLBACK, reason="2 is late"))
    assert registry.state() == (["None", "None"], {"challenger": 1})
    assert breaks(registry) == []


@pytest.mark.parametrize(
    "alias", ["Challenger", "CHALLENGER", "chállenger", "\uff43hallenger", "challenger\u0640"]
)
def test_a_spelling_that_a_database_may_find_equal_is_refused(registry, alias):
    registry.promote(1, CHALLENGER)
    registry.judge(2, CHALLENGER)
    words = registry.refused(registry.store.set_registered_model_alias, "wine", alias, 2)
    assert "use that spelling" in words
    assert registry.state() == (["None", "None"], {"challenger": 1})


def test_deleting_the_alias_takes_the_version_out_of_the_stage_and_is_recorded(registry):
    registry.promote(1, CHALLENGER)
    with registry.signed_in("ada"):
        registry.store.delete_registered_model_alias("wine", "challenger")
    assert registry.state() == (["None", "None"], {})
    last = registry.ledger()[-1]
    assert (last.action, last.stage, last.version, last.actor) == (Action.DEMOTED, "challenger", 1, "ada")
    registry.store.delete_registered_model_alias("wine", "challenger")
    assert registry.ledger()[-1] == last
    assert breaks(registry) == []


def test_what_it_points_to_is_neither_deleted_nor_renamed(registry):
    registry.promote(1, CHALLENGER)
    store, before = registry.store, registry.state()
    for call, *args in (
        (store.delete_model_version, "wine", "1"),
        (store.delete_registered_model, "wine"),
        (store.rename_registered_model, "wine", "wine2"),
    ):
        assert "Delete the alias challenger first" in registry.refused(call, *args)
    assert registry.state() == before
    store.delete_registered_model_alias("wine", "challenger")
    store.delete_model_version("wine", 1)


def test_it_is_beside_the_other_stages_and_given_up_when_the_version_goes_on(registry):
    registry.promote(1, registry.staging)
    registry.promote(1, CHALLENGER)
    assert registry.state() == (["Staging", "None"], {"challenger": 1})
    registry.promote(2)
    registry.promote(1)
    assert registry.state() == (["Production", "Archived"], {"champion": 1})
    registry.promote(2, CHALLENGER)
    registry.promote(2, registry.staging)
    assert registry.state() == (["Production", "Staging"], {"champion": 1})
    assert breaks(registry) == []


def test_another_stage_of_mlflows_does_not_touch_it(registry):
    registry.promote(1, CHALLENGER)
    registry.move(1, "Archived")
    assert registry.state() == (["Archived", "None"], {"challenger": 1})
    assert breaks(registry) == []


def test_an_alias_that_was_moved_behind_the_guard_is_found_by_the_audit_and_by_a_client(registry):
    registry.promote(1, CHALLENGER)
    client = client_of(registry)
    policies = book(registry).of("wine")
    assert inconsistencies(client.state("wine"), policies, datetime.now(UTC)) == []
    registry.sql("UPDATE registered_model_aliases SET version = 2")
    (said,) = breaks(registry)
    assert said.startswith("@challenger of wine holds version 2, which no promotion put there")
    assert "lifecycle rollback wine --stage challenger --to 1" in said
    (found,) = inconsistencies(client.state("wine"), policies, datetime.now(UTC))
    assert str(found) == said
    registry.sql("DELETE FROM registered_model_aliases")
    (said,) = breaks(registry)
    assert said.startswith("version 1 left @challenger of wine, and nothing on record says so")


def test_what_it_points_to_when_the_guard_comes_is_adopted(registry, tmp_path):
    registry.promote(1, CHALLENGER)
    with open_database(registry.uri) as engine:
        remove_guard(engine, tmp_path / "ledger.jsonl")
        (found,) = upgrade_registry(engine, book(registry), "ada", datetime.now(UTC))
    assert (found.stage, found.version, found.adopted) == ("challenger", 1, True)
    assert "held alias challenger when the guard came" in registry.ledger()[-1].detail


def test_a_model_may_be_the_environment_that_is_an_alias_alone(registry):
    policies = ModelPolicy((registry.staging, CHALLENGER), environment="challenger")
    registry.open_with(PolicyBook(ModelPolicy((registry.staging, CHALLENGER)), {"live.wine": policies}))
    registry.store.create_registered_model("live.wine")
    copy = (registry.store.create_model_version, "live.wine", "models:/wine/1")
    assert "may not be copied into live.wine" in registry.refused(*copy)
    registry.judge(1, CHALLENGER)
    registry.store.create_model_version("live.wine", "models:/wine/1")
    assert registry.state("live.wine") == (["None"], {"challenger": 1})
    assert breaks(registry) == []


def test_approvals_and_attempts_hold_for_it(registry):
    strict = replace(CHALLENGER, approvals=1)
    registry.open(registry.staging, strict)
    registry.judge(1, strict)
    assert "0 of 2 approvals" in registry.refused(
        registry.store.set_registered_model_alias, "wine", "challenger", 1
    )
    for person in ("ada", "grace"):
        registry.approve(person, 1, "challenger")
    registry.store.set_registered_model_alias("wine", "challenger", 1)
    assert registry.state() == (["None", "None"], {"challenger": 1})


def client_of(registry: Any) -> MlflowRegistry:
    """A client in this process, as a laptop has it."""
    return MlflowRegistry(
        Location(registry.uri, registry.uri),
        SnapshotStore(registry.folder / "snapshots"),
        book(registry),
        lambda: datetime.now(UTC),
        EvidenceSigner(lambda: registry.ci, registry.trust),
    )
