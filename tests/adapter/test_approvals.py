"""Four eyes: people whom the server has authenticated approve, and the version's author is none of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import flask
import pytest
from mlflow.exceptions import MlflowException

from lifecycle.domain.ledger import Action, broken_links
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind


def demanding(registry: Any, approvals: int = 1, *approvers: str, author: str = "ada", **change: Any) -> Any:
    """The registry with that many approvals for production, and a judged version 3 that ``author`` registered."""
    demands = replace(registry.production, approvals=approvals, approvers=frozenset(approvers), **change)
    registry.open(registry.staging, demands)
    with registry.signed_in(author):
        registry.add_version("wine", 3)
    registry.judge(3)
    return registry


def missing(registry: Any) -> str:
    words: str = registry.refused(registry.move, 3)
    return words


def promoted(registry: Any) -> bool:
    registry.move(3)
    return bool(registry.state() == (["None", "None", "Production"], {"champion": 3}))


@pytest.mark.database
def test_without_an_approval_the_refusal_says_who_has_to_do_what(registry):
    demanding(registry)
    words = missing(registry)
    assert "it has 0 of 1 approvals" in words
    assert "lifecycle approve models:/wine/3 --stage production --reason" in words
    registry.approve("grace", 3)
    assert promoted(registry)


@pytest.mark.database
def test_an_approval_is_in_the_ledger_with_who_gave_it_why_and_for_which_files(registry):
    demanding(registry)
    registry.approve("grace", 3, reason="tasted it")
    entry = registry.ledger()[-1]
    assert (entry.action, entry.stage, entry.version) == (Action.APPROVED, "production", 3)
    assert (entry.actor, entry.reason, entry.digest) == ("grace", "tasted it", registry.evidence(3).digest)
    assert broken_links(registry.ledger()) == []
    assert "lifecycle.approve.production" not in registry.shown(3)
    assert "APPROVED" in registry.shown(3)["lifecycle.history"]


def test_who_has_not_signed_in_does_not_approve(registry):
    demanding(registry)
    words = registry.refused(registry.write, "lifecycle.approve.production", "tasted it", 3)
    assert "needs a signed-in user" in words
    assert "--app-name basic-auth" in words
    assert [e.action for e in registry.ledger()] == []
    assert "0 of 1" in missing(registry)


def test_an_authorization_header_that_nobody_checks_is_nobody(registry):
    demanding(registry)
    app = flask.Flask("has no authentication")
    with app.test_request_context(headers={"Authorization": "Basic Z3JhY2U6Z3JhY2U="}):
        flask.g.mlflow_authenticated_user = "grace"
        registry.refused(registry.write, "lifecycle.approve.production", "tasted it", 3)
    assert "0 of 1" in missing(registry)


@pytest.mark.database
@pytest.mark.parametrize("spelling", ["ada", "Ada", "ADA"])
def test_the_author_does_not_approve(registry, spelling):
    demanding(registry)
    with registry.signed_in(spelling):
        words = registry.refused(registry.write, "lifecycle.approve.production", "mine is best", 3)
    assert f"{spelling} may not approve version 3 of wine for production: they registered it" in words
    assert "0 of 1" in missing(registry)


def test_who_is_not_listed_does_not_approve(registry):
    demanding(registry, 1, "grace", "linus")
    with registry.signed_in("mallory"):
        words = registry.refused(registry.write, "lifecycle.approve.production", "let it pass", 3)
    assert "the policy lists grace, linus" in words
    registry.approve("linus", 3)
    assert promoted(registry)


def test_who_was_struck_from_the_list_has_approved_in_vain(registry):
    demanding(registry, 1, "grace", "linus")
    registry.approve("grace", 3)
    registry.open(registry.staging, replace(registry.production, approvers=frozenset({"linus"})))
    assert "0 of 1" in missing(registry)


@pytest.mark.database
def test_two_of_three(registry):
    demanding(registry, 2, "grace", "linus", "margaret")
    registry.approve("grace", 3)
    words = missing(registry)
    assert "1 of 2 approvals (grace)" in words
    registry.approve("margaret", 3)
    assert promoted(registry)


@pytest.mark.database
@pytest.mark.parametrize("spelling", ["grace", "Grace", "gráce"])
def test_the_same_person_twice_is_one(registry, spelling):
    """A database of users may let them in under any of these."""
    demanding(registry, 2)
    registry.approve("grace", 3)
    registry.approve(spelling, 3)
    assert "1 of 2 approvals (grace)" in missing(registry)


def test_an_approval_of_other_files_does_not_count(registry):
    demanding(registry)
    registry.approve("grace", 3)
    (registry.files(3) / "MLmodel").write_text("other")
    registry.judge(3)
    assert "0 of 1" in missing(registry)
    registry.approve("grace", 3)
    assert promoted(registry)


@pytest.mark.parametrize(("version", "stage"), [(1, "production"), (3, "staging")])
def test_an_approval_of_another_version_or_stage_does_not_count(registry, version, stage):
    demanding(registry)
    registry.judge(1)
    registry.judge(3, registry.staging)
    registry.approve("grace", version, stage)
    assert "0 of 1" in missing(registry)


def test_an_approval_expires_as_evidence_does(registry):
    demanding(registry)
    registry.approve("grace", 3)
    registry.ahead = registry.production.max_age + timedelta(minutes=1)
    registry.judge(3)
    assert "0 of 1" in missing(registry)
    registry.approve("grace", 3)
    assert promoted(registry)


def test_an_approval_outlives_a_second_gate_run_on_the_same_files(registry):
    demanding(registry)
    registry.approve("grace", 3)
    registry.judge(3)
    assert promoted(registry)


def test_where_nobody_knows_the_author_one_more_is_needed(registry):
    """Version 1 was registered before anybody signed in, so one of those who approve may be the one."""
    demanding(registry)
    registry.judge(1)
    registry.approve("grace", 1)
    words = registry.refused(registry.move, 1)
    assert "1 of 2 approvals (grace), one of them because its author is unknown" in words
    registry.approve("linus", 1)
    registry.move(1)
    assert registry.state()[1] == {"champion": 1}


def test_there_is_nothing_to_approve_before_a_gate_has_run(registry):
    demanding(registry)
    with registry.signed_in("grace"):
        words = registry.refused(registry.write, "lifecycle.approve.production", "fine", 2)
    assert "There is nothing to approve yet" in words
    assert "lifecycle gate run models:/wine/2 --stage production" in words


def test_approvals_alone_do_not_promote(registry):
    demanding(registry, 1)
    registry.approve("grace", 3)
    registry.ahead = timedelta(days=2)
    assert "its evidence has expired" in missing(registry)


@pytest.mark.parametrize(
    ("version", "stage", "status"), [(9, "production", 404), (3, "nowhere", 404), (3, "", 404)]
)
def test_what_is_not_there_is_not_approved(registry, version, stage, status):
    demanding(registry)
    with registry.signed_in("grace"):
        registry.refused(registry.write, f"lifecycle.approve.{stage}", "fine", version, status=status)


def test_a_rollback_needs_no_approval_and_an_alias_does(registry):
    demanding(registry)
    registry.approve("grace", 3)
    registry.move(3)
    registry.judge(1)
    registry.refused(registry.store.set_registered_model_alias, "wine", "champion", 1)
    for user in ("grace", "linus"):
        registry.approve(user, 1)
    registry.store.set_registered_model_alias("wine", "champion", 1)
    registry.ask(PromotionRequest("wine", 3, "production", RequestKind.ROLLBACK, reason="late"))
    assert registry.state()[1] == {"champion": 3}


def test_who_a_request_says_it_is_approves_nothing(registry):
    demanding(registry)
    registry.refused(registry.ask, PromotionRequest("wine", 3, "production", requested_by="grace"))
    registry.judge(3)
    for value in ('{"actor":"grace","reason":"fine"}', "grace", "APPROVED by grace"):
        with registry.signed_in("linus"):
            registry.write("lifecycle.approve.production", value, 3)
        assert registry.ledger()[-1].actor == "linus"
        assert registry.ledger()[-1].reason == value


def test_an_approval_that_somebody_wrote_into_the_shown_history_counts_nothing(registry):
    demanding(registry)
    registry.approve("grace", 3)
    history = registry.shown(3)["lifecycle.history"]
    registry.judge(2)
    registry.sql(
        "INSERT INTO model_version_tags (name, version, key, value) VALUES ('wine', 2, 'lifecycle.history', ?)",
        history.replace('"version":3', '"version":2'),
    )
    assert "0 of 2" in registry.refused(registry.move, 2)


def test_through_mlflows_own_http_api(registry, http, monkeypatch):
    """As the UI sets a tag; MLflow's own auth app stands before it there."""
    demanding(registry)
    body = {"name": "wine", "version": "3", "key": "lifecycle.approve.production", "value": "tasted it"}
    answer = http.post("/ajax-api/2.0/mlflow/model-versions/set-tag", json=body, auth=("grace", "grace"))
    assert answer.status_code == 403
    assert "signed-in user" in answer.json["message"]

    def authenticate() -> None:
        flask.g.mlflow_authenticated_user = "grace"

    authenticate.__module__ = "mlflow.server.auth"
    monkeypatch.setitem(http.application.before_request_funcs, None, [authenticate])
    answer = http.post("/ajax-api/2.0/mlflow/model-versions/set-tag", json=body)
    assert answer.status_code == 200, answer.json
    assert registry.ledger()[-1].actor == "grace"
    assert promoted(registry)


@pytest.mark.database
def test_a_refused_approval_leaves_no_entry(registry):
    demanding(registry)
    with registry.signed_in("ada"), pytest.raises(MlflowException):
        registry.write("lifecycle.approve.production", "mine", 3)
    assert registry.ledger() == ()
