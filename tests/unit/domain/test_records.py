"""What travels as text comes back as it was, or not at all; names and references are safe or refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.codec import decode
from lifecycle.domain.model import ModelRef, check_model_name
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.text import from_timestamp, to_timestamp
from lifecycle.domain.verdict import Evidence, Outcome, Verdict, worst_of
from lifecycle.errors import NotFound, UsageError, unknown

NOW = datetime(2026, 11, 21, 12, 30, 1, 5, tzinfo=UTC)
EVIDENCE = Evidence(
    model="wine",
    version=1,
    stage="staging",
    digest="d" * 64,
    policy_digest="p" * 64,
    verdicts=(Verdict("drift", Outcome.PASSED, "drift.ok", "fine", {"share": 0.25, "rows": 7}, 1.25),),
    created_at=NOW,
    expires_at=NOW + timedelta(days=7),
    data={"current": "c" * 64},
    run_id="r" * 32,
    requested_by="ada",
)
REQUEST = PromotionRequest("wine", 1, "staging", RequestKind.ROLLBACK, "because", "ada", 0, "key")
BAD_TEXTS = ["", "null", "[]", "5", '"text"', "{}", '{"version": 1}', '{"version": "x", "kind": "PROMOTE"}']


def test_evidence_and_requests_survive_the_journey():
    assert decode(Evidence, EVIDENCE.to_json()) == EVIDENCE
    assert decode(PromotionRequest, REQUEST.to_json()) == REQUEST
    assert from_timestamp(to_timestamp(NOW)) == NOW


@pytest.mark.parametrize("record", [Evidence, PromotionRequest])
@pytest.mark.parametrize("text", BAD_TEXTS)
def test_what_is_no_record_is_said_to_be_none(record, text):
    with pytest.raises(ValueError, match=r"."):
        decode(record, text)


def test_unknown_keys_are_no_record():
    with pytest.raises(ValueError, match="not a record of PromotionRequest"):
        decode(PromotionRequest, REQUEST.to_json().replace("{", '{"actor":"admin",', 1))


def test_any_change_changes_the_evidence_id():
    for change in ({"version": 2}, {"digest": "e" * 64}, {"verdicts": ()}, {"data": {}}, {"run_id": None}):
        assert replace(EVIDENCE, **change).evidence_id != EVIDENCE.evidence_id


def test_the_worst_verdict_decides_and_none_is_inconclusive():
    verdicts = [Verdict("a", outcome, "a.x", "") for outcome in Outcome]
    assert worst_of(verdicts) is Outcome.FAILED
    assert worst_of(verdicts[:1]) is Outcome.PASSED
    assert worst_of([]) is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("uri", "ref"),
    [
        ("models:/wine/3", ModelRef("wine", version=3)),
        ("models:/wine/Production", ModelRef("wine", stage="Production")),
        ("models:/wine@champion", ModelRef("wine", alias="champion")),
        ("models:/my wine.v2/1", ModelRef("my wine.v2", version=1)),
    ],
)
def test_references_are_read_and_written_alike(uri, ref):
    assert ModelRef.parse(uri) == ref
    assert str(ref) == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("", "wine/3", "runs:/abc/model", "models:/", "models:/wine", "models:/wine/", "models:/wine@"),
        *("models:/wine/latest", "models:/wine/LATEST", "models:/wine/1/2", "models://wine/1"),
        *("models:/../x/1", "models:/a;b/1", "models:/a#b/1", "models:/$(id)/1", "models:/a\\b/1"),
        *("models:/a\0/1", "models:/w\u0131ne/1", "models:/wine/%2e%2e", "models:/wine@a b"),
        *(f"models:/{'x' * 10_000}/1", "models:/wine\n/1"),
    ],
)
def test_anything_else_is_refused(uri):
    with pytest.raises(UsageError):
        ModelRef.parse(uri)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "a'b", 'a"b', "a b ", "a..b", "\u202ename", "x" * 251]
)
def test_unsafe_model_names_are_refused(name):
    with pytest.raises(UsageError):
        check_model_name(name)


def test_stages_and_aliases_are_found_in_any_letter_case():
    production = StagePolicy("live", "Production", (GateSpec("signature"),), alias="champion")
    policy = ModelPolicy((production,))
    for word in ("live", "LIVE", "production", "Production"):
        assert policy.stage(word) is production
    assert policy.guarding_stage("pRODUCTION") is production
    assert policy.guarding_alias("Champion") is production
    assert policy.guarding_stage("Staging") is None
    assert policy.guarding_alias("challenger") is None
    with pytest.raises(NotFound, match="did you mean 'live'"):
        policy.stage("lvie")


def test_a_model_without_an_entry_has_the_default_policy():
    default, own = ModelPolicy(()), ModelPolicy(())
    book = PolicyBook(default, {"wine": own})
    assert book.of("wine") is own
    assert book.of("beer") is default


def test_unknown_names_come_with_the_nearest():
    expected = "unknown gate 'drfit'; did you mean 'drift'? Known: drift, signature"
    assert unknown("gate", "drfit", ["signature", "drift"]) == expected
