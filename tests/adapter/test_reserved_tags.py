"""The tags under ``lifecycle.``: what may be written there, by whom, and that they are for show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.verdict import Evidence
from lifecycle.registry import tags
from lifecycle.signing.jws import payload_of

ODD_SPELLINGS = [
    "LIFECYCLE.Promotion",
    "Lifecycle.evidence.production",
    "lifecycle.Evidence.production",
    "lifecycle.EVIDENCE.production",
    "lifecycle.approve",
    "lífecycle.history",
    "l\u0131fecycle.history",
    "\uff4cifecycle.history",
    "\u0142ifecycle.history",
]


@pytest.mark.database
@pytest.mark.parametrize("key", ["lifecycle.history", "lifecycle.production", "lifecycle.x", *ODD_SPELLINGS])
def test_nobody_writes_or_deletes_reserved_tags(registry, key):
    registry.promote()
    store, before = registry.store, registry.shown()
    for call, *args in (
        (store.set_model_version_tag, "wine", 1, ModelVersionTag(key, "x")),
        (store.delete_model_version_tag, "wine", 1, key),
        (store.set_registered_model_tag, "wine", RegisteredModelTag(key, "x")),
        (store.delete_registered_model_tag, "wine", key),
        (store.create_registered_model, "beer", [RegisteredModelTag(key, "x")]),
        (store.create_model_version, "wine", "file:///nowhere", None, [ModelVersionTag(key, "x")]),
        (store.set_prompt_version_tag, "wine", 1, key, "x"),
    ):
        assert tags.GUARD_SAYS in registry.refused(call, *args)
    assert registry.shown() == before
    assert len(registry.state()[0]) == 2


@pytest.mark.database
def test_evidence_and_requests_cannot_be_smuggled_in_at_creation(registry):
    for key, value in (
        (tags.EVIDENCE + "production", registry.signed(registry.evidence(3))),
        (tags.PROMOTION, PromotionRequest("wine", 3, "production").to_json()),
        (tags.APPROVE + "production", "fine"),
    ):
        tag = ModelVersionTag(key, value)
        registry.refused(registry.store.create_model_version, "wine", "file:///nowhere", None, [tag])


@pytest.mark.database
def test_a_copy_of_a_promoted_version_is_unchecked_again(registry):
    registry.promote()
    registry.write("team", "cellar")
    copy = registry.store.copy_model_version(registry.store.get_model_version("wine", 1), "wine")
    assert (copy.current_stage, list(copy.aliases), copy.tags) == ("None", [], {"team": "cellar"})
    registry.refused(registry.move, int(copy.version))


def test_other_tags_are_peoples_own(registry):
    store = registry.store
    registry.write("team", "cellar")
    store.set_registered_model_tag("wine", RegisteredModelTag("team", "cellar"))
    assert registry.shown() == {"team": "cellar"}
    store.delete_model_version_tag("wine", 1, "team")
    store.delete_registered_model_tag("wine", "team")
    store.create_registered_model("beer", [RegisteredModelTag("team", "cellar")], "all about beer")
    created = store.create_model_version("beer", "file:///nowhere", "r" * 32, [ModelVersionTag("a", "b")])
    assert (created.run_id, created.tags) == ("r" * 32, {"a": "b"})


@pytest.mark.database
@pytest.mark.parametrize("key", ["lifecycle", "lifecycles.x", "my.lifecycle.x", "ライフサイクル.x", "параметры.x"])
def test_tags_that_only_remind_of_ours_are_peoples_own(registry, key):
    registry.write(key, "x")
    assert registry.shown() == {key: "x"}


@pytest.mark.database
def test_what_is_shown_follows_what_is_recorded(registry):
    registry.refused(registry.ask, PromotionRequest("wine", 1, "production"))
    registry.promote()
    shown = registry.shown()
    assert shown["lifecycle.production"].startswith("PASSED ")
    assert tuple(tags.history_of(shown)) == registry.ledger()
    assert decode(Evidence, payload_of(shown["lifecycle.evidence.production"])).version == 1
    assert tags.PROMOTION not in shown


@pytest.mark.database
@pytest.mark.parametrize("stage", ["PRODUCTION", "Production", "pRoDuCtIoN"])
def test_a_stage_in_a_tags_name_goes_by_any_letter_case_and_is_shown_in_the_policys(registry, stage):
    registry.write(f"lifecycle.evidence.{stage}", registry.signed(registry.evidence(1)))
    assert sorted(registry.shown()) == ["lifecycle.evidence.production", "lifecycle.production"]
    registry.move()
    assert registry.state() == (["Production", "None"], {"champion": 1})


WRONG: dict[str, tuple[str, str, int]] = {
    "no stage": ("lifecycle.evidence.", "whole", 404),
    "no such stage": ("lifecycle.evidence.nowhere", "whole", 404),
    "a space behind the stage": ("lifecycle.evidence.production ", "whole", 404),
    "a stage that looks alike": ("lifecycle.evidence.prod\u03c5ction", "whole", 404),
    "another stage's": ("lifecycle.evidence.staging", "whole", 400),
    "another version's": ("lifecycle.evidence.production", "of version 2", 400),
    "a request that is none": ("lifecycle.promotion", "{}", 400),
    "a request that is deep": ("lifecycle.promotion", '{"a":' + "[" * 7_000, 400),
    "a request for another version": (
        "lifecycle.promotion",
        PromotionRequest("wine", 2, "production").to_json(),
        400,
    ),
    "a request for no stage": ("lifecycle.promotion", PromotionRequest("wine", 1, "nowhere").to_json(), 404),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_a_4xx_and_changes_nothing(registry, wrong):
    key, text, status = WRONG[wrong]
    signed = {"whole": registry.evidence(1), "of version 2": registry.evidence(2)}
    value = registry.signed(signed[text]) if text in signed else text
    registry.refused(registry.write, key, value, status=status)
    assert registry.ledger() == ()
    assert registry.shown() == {}


MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    "key",
    [
        *("lifecycle.evidence.production", "lifecycle.promotion", "lifecycle.approve.production"),
        *("lifecycle.claim.production", "lifecycle.history"),
    ],
)
@pytest.mark.parametrize("text", ["x" * MEGABYTE, "{" * MEGABYTE, "." * MEGABYTE, "é" * MEGABYTE])
def test_a_megabyte_is_refused_unread_and_not_repeated(registry, key, text):
    with registry.signed_in("ada"), pytest.raises(MlflowException) as caught:
        registry.write(key, text)
    assert 400 <= caught.value.get_http_status_code() < 500
    assert len(caught.value.message) < 400
    assert registry.shown() == {}


# Editing what is shown


@pytest.mark.database
@pytest.mark.parametrize(
    "behind_the_guards_back",
    [
        "DELETE FROM model_version_tags",
        "UPDATE model_version_tags SET value = '[]' WHERE key = 'lifecycle.history'",
        "UPDATE model_version_tags SET value = '{}' WHERE key LIKE 'lifecycle.evidence.%'",
        "UPDATE model_version_tags SET value = 'FAILED' WHERE key = 'lifecycle.production'",
    ],
)
def test_the_tables_decide_and_not_the_tags(registry, behind_the_guards_back):
    registry.judge()
    registry.refused(registry.move, 2)
    registry.sql(behind_the_guards_back)
    registry.move()
    assert registry.state() == (["Production", "None"], {"champion": 1})
    assert [e.action for e in registry.ledger()] == [Action.REFUSED, Action.PROMOTED]
    registry.sql(behind_the_guards_back)
    registry.refused(registry.move, 2)
    registry.ask(PromotionRequest("wine", 1, "production"))
    assert len(registry.ledger()) == 3


@pytest.mark.database
def test_tags_that_somebody_wrote_behind_the_guards_back_allow_nothing(registry):
    registry.judge(1)
    tag_of_1 = registry.shown()
    forged = {**tag_of_1, "lifecycle.evidence.production": registry.signed(registry.evidence(2))}
    for key, value in forged.items():
        registry.sql(
            "INSERT INTO model_version_tags (name, version, key, value) VALUES ('wine', 2, ?, ?)", key, value
        )
    assert registry.shown(2) == forged
    assert "no gate has been run" in registry.refused(registry.move, 2)


@pytest.mark.database
def test_the_copy_that_the_promote_button_makes_leaves_the_evidence_behind(http: Any, registry):
    registry.promote()
    original = registry.shown()
    answer = http.post(
        "/ajax-api/2.0/mlflow/model-versions/create",
        json={
            "name": "wine",
            "source": "models:/wine/1",
            "tags": [{"key": key, "value": value} for key, value in original.items()],
        },
    )
    assert answer.status_code == 200, answer.json
    assert json.loads(answer.data)["model_version"].get("tags", []) == []
