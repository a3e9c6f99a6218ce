"""Each way to promote over HTTP, as MLflow's UI and clients go it: refused, then allowed, and never half done."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import ModelPolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind

PREFIXES = ["/api/2.0", "/ajax-api/2.0"]

WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stage": ("POST", "model-versions/transition-stage", {"version": "1", "stage": "Production"}),
    "stage, lower case": ("POST", "model-versions/transition-stage", {"version": "1", "stage": "production"}),
    "stage, upper case": ("POST", "model-versions/transition-stage", {"version": "1", "stage": "PRODUCTION"}),
    "stage, archiving": (
        "POST",
        "model-versions/transition-stage",
        {"version": "1", "stage": "Production", "archive_existing_versions": True},
    ),
    "alias": ("POST", "registered-models/alias", {"version": "1", "alias": "champion"}),
    "tag": (
        "POST",
        "model-versions/set-tag",
        {
            "version": "1",
            "key": "lifecycle.promotion",
            "value": PromotionRequest("wine", 1, "production").to_json(),
        },
    ),
}


def call(http: Any, prefix: str, way: str, **change: Any) -> Any:
    method, path, body = WAYS[way]
    return http.open(f"{prefix}/mlflow/{path}", method=method, json={"name": "wine"} | body | change)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", WAYS)
def test_refused_then_allowed(registry, http, prefix, way):
    answer = call(http, prefix, way)
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert answer.json["message"] == registry.ledger()[-1].detail
    assert "Run: lifecycle gate run models:/wine/1 --stage production" in answer.json["message"]
    assert registry.state() == (["None", "None"], {})
    registry.judge()
    assert call(http, prefix, way).status_code == 200
    assert registry.state() == (["Production", "None"], {"champion": 1})
    assert [e.action for e in registry.ledger()] == [Action.REFUSED, Action.PROMOTED]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_stage_that_mlflow_does_not_know_is_its_own_error(registry, http, prefix):
    for stage in ("Prod", "production ", "Producti\u03bfn", ""):
        answer = call(http, prefix, "stage", stage=stage)
        assert answer.status_code == 400, answer.json
    assert registry.ledger() == ()


TAKING_AWAY: dict[str, tuple[str, str, dict[str, Any]]] = {
    "delete version": ("DELETE", "model-versions/delete", {"version": "1"}),
    "delete model": ("DELETE", "registered-models/delete", {}),
    "rename": ("POST", "registered-models/rename", {"new_name": "beer"}),
    "delete alias": ("DELETE", "registered-models/alias", {"alias": "champion"}),
    "delete tag": ("DELETE", "model-versions/delete-tag", {"version": "1", "key": "lifecycle.history"}),
}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("way", TAKING_AWAY)
def test_what_is_promoted_is_not_taken_away(registry, http, prefix, way):
    registry.promote()
    before, shown = registry.state(), registry.shown()
    method, path, body = TAKING_AWAY[way]
    answer = http.open(f"{prefix}/mlflow/{path}", method=method, json={"name": "wine"} | body)
    assert (answer.status_code, answer.json["error_code"]) == (403, "PERMISSION_DENIED")
    assert (registry.state(), registry.shown()) == (before, shown)


@pytest.mark.database
@pytest.mark.parametrize("prefix", PREFIXES)
def test_what_left_the_stage_can_be_taken_away(registry, http, prefix):
    registry.promote()
    call(http, prefix, "stage", stage="Archived")
    for way in ("delete alias", "delete version", "rename"):
        method, path, body = TAKING_AWAY[way]
        answer = http.open(f"{prefix}/mlflow/{path}", method=method, json={"name": "wine"} | body)
        assert answer.status_code == 200, (way, answer.json)
    assert registry.state("beer") == (["None"], {})


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_promotion_through_any_of_them_takes_the_evidence_of_the_version_that_moves(registry, http, prefix):
    registry.promote(2)
    registry.judge(1)
    assert call(http, prefix, "alias").status_code == 200
    assert registry.state() == (["Production", "Archived"], {"champion": 1})
    assert registry.ledger()[-1].previous == 2


def test_an_authorization_header_that_nobody_checks_is_no_actor(registry, http):
    http.post(
        "/api/2.0/mlflow/model-versions/transition-stage",
        json={"name": "wine", "version": "1", "stage": "Production"},
        auth=("admin", "guess"),
    )
    assert registry.ledger()[-1].actor == "unauthenticated"


def test_the_actor_is_whom_mlflows_auth_app_found_and_not_whom_the_request_names(registry):
    with registry.signed_in("ada"):
        registry.judge()
        registry.ask(PromotionRequest("wine", 1, "production", requested_by="grace"))
    last = registry.ledger()[-1]
    assert (last.actor, last.requested_by) == ("ada", "grace")


@pytest.mark.parametrize("kind", [RequestKind.PROMOTE, RequestKind.ROLLBACK])
def test_a_stage_that_a_models_own_policy_leaves_out_is_free_and_the_others_are_not(registry, http, kind):
    registry.open(registry.staging, wine=ModelPolicy((registry.production,)))
    registry.refused(registry.ask, PromotionRequest("wine", 1, "production", kind))
    assert call(http, PREFIXES[0], "stage", stage="Staging").status_code == 200
    assert registry.state() == (["Staging", "None"], {})


@pytest.mark.slow
def test_a_static_prefix_changes_nothing(registry):
    """The prefix is put before the paths when MLflow's app is imported, so it takes a process of its own."""
    program = """
import os, sys
from mlflow.server import app
http = app.test_client()
for prefix in ("/models/api/2.0", "/models/ajax-api/2.0"):
    body = {"name": "wine", "version": "1", "stage": "production"}
    answer = http.post(f"{prefix}/mlflow/model-versions/transition-stage", json=body)
    print(answer.status_code, answer.json["message"])
assert http.post("/api/2.0/mlflow/model-versions/transition-stage", json=body).status_code in (404, 405)
"""
    environment = os.environ | {
        "_MLFLOW_STATIC_PREFIX": "/models",
        "_MLFLOW_SERVER_FILE_STORE": registry.uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": f"lifecycle+{registry.uri}",
        "LIFECYCLE_HOME": str(registry.folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 2
    assert all(line.startswith("403 Version 1 of wine may not go to Production") for line in said)
    assert len(registry.ledger()) == 2
