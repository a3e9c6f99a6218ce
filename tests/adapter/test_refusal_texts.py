"""What people read in MLflow's toast: one short paragraph with what is missing and the command to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.config.load import load_config
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Outcome

LONG = "a-model-with-a-name-of-some-sixty-characters-such-as-people-give"
GATE_RUN = f"Run: lifecycle gate run models:/{LONG}/1 --stage production"


def spoiled(registry: Any, outcome: Outcome) -> Any:
    whole = registry.evidence(model=LONG)
    return replace(whole, verdicts=tuple(replace(v, outcome=outcome) for v in whole.verdicts))


def open_with(registry: Any, **change: Any) -> None:
    production = replace(registry.production, **change)
    registry.open_with(PolicyBook(ModelPolicy((registry.staging, production))))


def expired(registry: Any) -> None:
    registry.judge(model=LONG)
    registry.ahead = timedelta(days=8)


def changed(registry: Any) -> None:
    registry.judge(model=LONG)
    (registry.files(1, LONG) / "MLmodel").write_text("other")


def other_policy(registry: Any) -> None:
    registry.judge(model=LONG)
    open_with(registry, gates=(GateSpec("parity"),))


def revoked(registry: Any) -> None:
    registry.judge(model=LONG)
    registry.trust.revoke("ci", registry.now())


def not_approved(registry: Any) -> None:
    open_with(registry, approvals=2)
    registry.judge(model=LONG)


def too_often(registry: Any) -> None:
    open_with(registry, max_attempts=1)
    for run in ("r1", "r2"):
        registry.deliver(registry.evidence(model=LONG, run_id=run))


def not_in_order(registry: Any) -> None:
    open_with(registry, after="staging")
    registry.judge(model=LONG)


SITUATIONS: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "no gate run": (lambda _: None, "no gate has been run for it (needed: signature, drift)", GATE_RUN),
    "failed": (
        lambda r: r.deliver(spoiled(r, Outcome.FAILED)),
        "not passed: signature (FAILED), drift (FAILED)",
        GATE_RUN,
    ),
    "inconclusive": (lambda r: r.deliver(spoiled(r, Outcome.INCONCLUSIVE)), "drift (INCONCLUSIVE)", GATE_RUN),
    "broke": (lambda r: r.deliver(spoiled(r, Outcome.ERROR)), "drift (ERROR)", GATE_RUN),
    "expired": (expired, "its evidence has expired", GATE_RUN),
    "files changed": (changed, "its files have changed since its gates ran", GATE_RUN),
    "policy changed": (other_policy, "the policy has changed since its gates ran", GATE_RUN),
    "key revoked": (revoked, "the key that signed its evidence is not trusted (any more)", GATE_RUN),
    "not approved": (not_approved, "it has 0 of 3 approvals", "lifecycle approve"),
    "too often": (too_often, "max_attempts is 1", "Register a new version"),
    "not in order": (not_in_order, "has not been promoted to staging", "lifecycle promote"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_refusal_says_what_is_missing_and_what_to_run(registry, situation):
    prepare, missing, advice = SITUATIONS[situation]
    registry.add(LONG)
    prepare(registry)
    for way in (
        lambda: registry.move(model=LONG),
        lambda: registry.store.set_registered_model_alias(LONG, "champion", 1),
        lambda: registry.ask(PromotionRequest(LONG, 1, "production")),
    ):
        words = registry.refused(way)
        assert missing in words
        assert advice in words
        assert words.startswith(f"Version 1 of {LONG} ")


def test_a_model_without_a_policy_of_its_own_is_told_that_the_defaults_apply(registry):
    default = ModelPolicy((replace(registry.production, inherited=True),))
    registry.open_with(PolicyBook(default, {"beer": ModelPolicy((registry.production,))}))
    registry.add("beer")
    assert "wine has no policy of its own, so the defaults apply" in registry.refused(registry.move)
    assert "the defaults apply" not in registry.refused(registry.move, 1, "Production", "beer")


def test_with_no_file_at_all_the_built_in_policy_refuses_and_says_so(registry, tmp_path):
    registry.open_with(load_config({}, tmp_path / "empty").policies)
    words = registry.refused(registry.move)
    assert "needed: signature, safety, data_quality, drift, performance" in words
    assert "wine has no policy of its own, so the defaults apply" in words
    assert "signature, safety" in registry.refused(registry.move, 1, "Staging")


def test_a_rollback_to_nowhere_points_to_the_history(registry):
    words = registry.refused(registry.ask, PromotionRequest("wine", 2, "production", RequestKind.ROLLBACK))
    assert "Run: lifecycle history wine" in words


@pytest.mark.parametrize(
    ("key", "status"),
    [("lifecycle.history", 403), ("lifecycle.evidence.production", 403), ("lifecycle.promotion", 403)],
)
def test_no_refusal_repeats_what_a_client_sent(registry, key, status):
    assert "hunter2" not in registry.refused(registry.write, key, "hunter2", status=status)
    with registry.signed_in("ada"):
        registry.refused(registry.write, "lifecycle.promotion", '{"hunter2":"hunter2"}', status=400)
