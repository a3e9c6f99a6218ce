"""A reserved tag holds exactly what it must, for exactly the version it is written to, or is refused."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import NotTrusted, UsageError
from lifecycle.promotion.payloads import check_reason, read_evidence, read_override, read_request
from lifecycle.registry.tags import MAX_EVIDENCE_CHARS
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

SEED = 20261121
NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = SigningKey.generate()
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
OVERRIDE = replace(
    REQUEST, kind=RequestKind.OVERRIDE, digest="d" * 64, issued_at=NOW, until=NOW + timedelta(hours=1)
)


@pytest.fixture
def trust(tmp_path: Path) -> TrustStore:
    store = TrustStore(tmp_path / "trusted.json")
    store.trust(KEY, "ci", Permission, NOW)
    return store


def evidence(text: str, trust: TrustStore) -> Evidence:
    """What a key that may has signed, be it whatever."""
    return read_evidence(sign(KEY, Permission.EVIDENCE, text), "wine", 1, "staging", trust)


def request(text: str, _: TrustStore) -> PromotionRequest:
    return read_request(text, "wine", 1)


def override(text: str, trust: TrustStore) -> PromotionRequest:
    return read_override(sign(KEY, Permission.OVERRIDE, text), "wine", 1, trust)[0]


def with_fields(record: Evidence | PromotionRequest, **fields: object) -> str:
    content = json.loads(record.to_json()) | fields
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def test_the_real_thing_is_read(trust):
    assert evidence(EVIDENCE.to_json(), trust) == EVIDENCE
    assert request(REQUEST.to_json(), trust) == REQUEST
    assert override(OVERRIDE.to_json(), trust) == OVERRIDE


@pytest.mark.parametrize("change", [{"model": "beer"}, {"version": 2}, {"stage": "production"}])
def test_evidence_for_something_else_is_refused(change, trust):
    with pytest.raises(UsageError, match="does not speak of version 1 of wine"):
        evidence(replace(EVIDENCE, **change).to_json(), trust)


@pytest.mark.parametrize("change", [{"model": "beer"}, {"version": 2}])
@pytest.mark.parametrize(("record", "read"), [(REQUEST, request), (OVERRIDE, override)])
def test_a_request_for_something_else_is_refused(record, read, change, trust):
    with pytest.raises(UsageError, match="does not speak of version 1 of wine"):
        read(replace(record, **change).to_json(), trust)


@pytest.mark.parametrize("kind", [RequestKind.PROMOTE, RequestKind.ROLLBACK])
def test_what_is_signed_as_an_override_is_one(kind, trust):
    with pytest.raises(UsageError, match="not an override"):
        override(replace(OVERRIDE, kind=kind).to_json(), trust)


def test_what_was_signed_as_one_thing_is_not_read_as_another(trust):
    as_override = sign(KEY, Permission.OVERRIDE, EVIDENCE.to_json())
    with pytest.raises(NotTrusted):
        read_evidence(as_override, "wine", 1, "staging", trust)
    as_evidence = sign(KEY, Permission.EVIDENCE, OVERRIDE.to_json())
    with pytest.raises(NotTrusted):
        read_override(as_evidence, "wine", 1, trust)


@pytest.mark.parametrize("record", [EVIDENCE, OVERRIDE])
def test_what_nobody_signed_is_not_trusted(record, trust):
    for text in (record.to_json(), "", "a.b.c", "💥", "..", "\0" * 50_000):
        with pytest.raises(NotTrusted):
            read_evidence(text, "wine", 1, "staging", trust)
        with pytest.raises(NotTrusted):
            read_override(text, "wine", 1, trust)


def test_an_override_says_whose_key_vouches_for_it(trust):
    _, key = read_override(sign(KEY, Permission.OVERRIDE, OVERRIDE.to_json()), "wine", 1, trust)
    assert key.name == "ci"


def test_the_reason_of_an_approval_is_no_book():
    assert check_reason("r" * 1000) == "r" * 1000
    with pytest.raises(UsageError, match="at most 1000 characters"):
        check_reason("r" * 1001)


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
def test_misshapen_evidence_is_refused(fields, trust):
    with pytest.raises(UsageError):
        evidence(with_fields(EVIDENCE, **fields), trust)


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
        {"digest": "d"},
        {"digest": None},
        {"issued_at": 5},
        {"until": "tomorrow"},
        {"until": ""},
    ],
    ids=str,
)
def test_misshapen_requests_are_refused(fields, trust):
    with pytest.raises(UsageError):
        request(with_fields(REQUEST, **fields), trust)


@pytest.mark.parametrize("read", [evidence, request, override])
@pytest.mark.parametrize("text", ["", "null", "[" * 50_000, '{"version":' + "9" * 5_000 + "}", "NaN", "\0", "💥"])
def test_nonsense_is_refused(read, text, trust):
    with pytest.raises(UsageError):
        read(text, trust)


def test_too_much_is_refused_unread(trust):
    with pytest.raises(UsageError, match="characters"):
        evidence("x" * (MAX_EVIDENCE_CHARS + 1), trust)
    with pytest.raises(UsageError, match="characters"):
        request("x" * 8_001, trust)


def test_another_spelling_of_the_same_is_refused(trust):
    with pytest.raises(UsageError, match="canonical"):
        evidence(json.dumps(json.loads(EVIDENCE.to_json()), indent=1), trust)


@pytest.mark.parametrize(("record", "read"), [(EVIDENCE, evidence), (REQUEST, request), (OVERRIDE, override)])
def test_2000_random_damages_are_read_as_something_else_or_refused(record, read, trust):
    chance = random.Random(SEED)
    text = record.to_json()
    for _ in range(2000):
        at = chance.randrange(len(text))
        damaged = text[:at] + chance.choice(["", "0", '"', "{", "\\", "é"]) + text[at + chance.randrange(3) :]
        try:
            assert read(damaged, trust).to_json() == damaged
        except UsageError:
            continue
