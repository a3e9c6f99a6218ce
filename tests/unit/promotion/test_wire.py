"""A reserved tag holds exactly what it must, for exactly the version it is written to, or is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.promotion import PromotionRequest
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.errors import UsageError
from lifecycle.promotion.wire import read_evidence, read_request
from lifecycle.registry.tags import MAX_EVIDENCE_CHARS

SEED = 20261121
NOW = datetime(2026, 11, 21, tzinfo=UTC)
EVIDENCE = Evidence(
    model="wine",
    version=1,
    stage="staging",
    digest="d" * 64,
    policy_digest="a" * 64,
    verdicts=(Verdict("drift", Outcome.PASSED, "drift.ok", "fine", {"share": 0.25}, 1.5),),
    created_at=NOW,
    expires_at=NOW + timedelta(days=7),
    requested_by="ada",
)
REQUEST = PromotionRequest("wine", 1, "staging", reason="better", requested_by="ada", expected=0, key="k")


def evidence(text: str) -> Evidence:
    return read_evidence(text, "wine", 1, "staging")


def request(text: str) -> PromotionRequest:
    return read_request(text, "wine", 1)


def with_fields(record: Evidence | PromotionRequest, **fields: object) -> str:
    content = json.loads(record.to_json()) | fields
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def test_the_real_thing_is_read():
    assert evidence(EVIDENCE.to_json()) == EVIDENCE
    assert request(REQUEST.to_json()) == REQUEST


@pytest.mark.parametrize("change", [{"model": "beer"}, {"version": 2}, {"stage": "production"}])
def test_evidence_for_something_else_is_refused(change):
    with pytest.raises(UsageError, match="does not speak of version 1 of wine"):
        evidence(replace(EVIDENCE, **change).to_json())


@pytest.mark.parametrize("change", [{"model": "beer"}, {"version": 2}])
def test_a_request_for_something_else_is_refused(change):
    with pytest.raises(UsageError, match="does not speak of version 1 of wine"):
        request(replace(REQUEST, **change).to_json())


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "d"},
        {"digest": 5},
        {"digest": "D" * 64},
        {"policy_digest": None},
        {"run_id": 7},
        {"requested_by": ["ada"]},
        {"verdicts": [json.loads(EVIDENCE.to_json())["verdicts"][0] | {"gate": ["drift"]}]},
        {"verdicts": [json.loads(EVIDENCE.to_json())["verdicts"][0] | {"outcome": "FINE"}]},
        {"verdicts": [json.loads(EVIDENCE.to_json())["verdicts"][0] | {"seconds": "long"}]},
        {"verdicts": [json.loads(EVIDENCE.to_json())["verdicts"][0] | {"figures": 3}]},
        {"verdicts": ["drift"]},
        {"verdicts": None},
        {"version": "1"},
        {"version": 1.5},
        {"created_at": "yesterday"},
        {"extra": 1},
    ],
    ids=str,
)
def test_misshapen_evidence_is_refused(fields):
    with pytest.raises(UsageError):
        evidence(with_fields(EVIDENCE, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "FORCE"},
        {"stage": 1},
        {"expected": "0"},
        {"expected": 1.5},
        {"key": None},
        {"key": "k" * 129},
        {"reason": "r" * 1001},
        {"requested_by": {"name": "ada"}},
        {"actor": "admin"},
        {"version": True},
    ],
    ids=str,
)
def test_misshapen_requests_are_refused(fields):
    with pytest.raises(UsageError):
        request(with_fields(REQUEST, **fields))


@pytest.mark.parametrize("read", [evidence, request])
@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, '{"version":' + "9" * 5_000 + "}", "NaN", "\0", "💥"])
def test_nonsense_is_refused(read, text):
    with pytest.raises(UsageError):
        read(text)


def test_too_much_is_refused_unread():
    with pytest.raises(UsageError, match="characters"):
        evidence("x" * (MAX_EVIDENCE_CHARS + 1))
    with pytest.raises(UsageError, match="characters"):
        request("x" * 8_001)


def test_another_spelling_of_the_same_is_refused():
    with pytest.raises(UsageError, match="canonical"):
        evidence(json.dumps(json.loads(EVIDENCE.to_json()), indent=1))


@pytest.mark.parametrize(("record", "read"), [(EVIDENCE, evidence), (REQUEST, request)])
def test_2000_random_damages_are_read_as_something_else_or_refused(record, read):
    chance = random.Random(SEED)
    text = record.to_json()
    for _ in range(2000):
        at = chance.randrange(len(text))
        damaged = text[:at] + chance.choice(["", "0", '"', "{", "\\", "é"]) + text[at + chance.randrange(3) :]
        try:
            assert read(damaged).to_json() == damaged
        except UsageError:
            continue
