"""What put a version into its stage is proven by a signature, or it does not count on this machine."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.promotion.request import PromotionRequest, RequestKind
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import NotTrusted
from lifecycle.registry.signer import check_attestation
from lifecycle.signing.jws import sign
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DIGEST = "d" * 64
PASSED = Evidence(
    "wine",
    1,
    "production",
    DIGEST,
    "p" * 64,
    (Verdict("signature", Outcome.PASSED, "signature.ok", "fine"),),
    NOW,
    NOW + timedelta(days=1),
)
MOVE = LedgerEntry(7, NOW, Action.PROMOTED, "wine", "production", 1, digest=DIGEST, evidence_id=PASSED.evidence_id)
OVERRIDE = PromotionRequest(
    "wine", 1, "production", RequestKind.OVERRIDE, "INC-1", key="k", digest=DIGEST, issued_at=NOW, until=NOW
)
OVERRIDDEN = replace(MOVE, action=Action.OVERRIDDEN, evidence_id=None, until=NOW)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def trust(tmp_path: Path, key: SigningKey) -> TrustStore:
    trust = TrustStore(tmp_path / "trusted.json")
    trust.trust(key, "ci", [Permission.EVIDENCE, Permission.OVERRIDE], NOW)
    return trust


def evidence(key: SigningKey, **change: object) -> str:
    return sign(key, Permission.EVIDENCE, replace(PASSED, **change).to_json())


@pytest.mark.parametrize("action", [Action.PROMOTED, Action.ROLLED_BACK])
def test_the_evidence_that_the_move_names_is_proof(key, trust, action):
    check_attestation(evidence(key), replace(MOVE, action=action), False, trust)


def test_what_has_expired_since_is_proof_all_the_same(key, trust):
    """A stage keeps what it holds: how fresh evidence is was asked when the version moved."""
    old = replace(PASSED, expires_at=NOW - timedelta(days=300))
    text = sign(key, Permission.EVIDENCE, old.to_json())
    check_attestation(text, replace(MOVE, evidence_id=old.evidence_id), False, trust)


def test_a_key_that_was_renewed_stops_nothing(key, trust):
    trust.revoke("ci", NOW)
    check_attestation(evidence(key), MOVE, False, trust)


def test_nothing_is_no_proof_and_the_error_names_the_keys_that_count(trust):
    with pytest.raises(NotTrusted) as caught:
        check_attestation("", MOVE, False, trust)
    said = str(caught.value)
    assert said.startswith("what put version 1 of wine into production does not count here: nothing is there")
    assert f"The keys that count on this machine are in {trust.file}. See: lifecycle keys trust" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "change",
    [
        {"model": "beer"},
        {"version": 2},
        {"stage": "staging"},
        {"digest": "e" * 64},
        {"policy_digest": "q" * 64},
        {"verdicts": ()},
        {"verdicts": (Verdict("signature", Outcome.FAILED, "signature.bad", "not fine"),)},
    ],
    ids=str,
)
def test_other_evidence_is_no_proof_even_where_the_entry_names_it(key, trust, change):
    text = evidence(key, **change)
    with pytest.raises(NotTrusted):
        check_attestation(text, MOVE, False, trust)
    named = replace(MOVE, evidence_id=replace(PASSED, **change).evidence_id)
    if set(change) == {"policy_digest"}:  # which gates were demanded then, nobody but the ledger knows
        check_attestation(text, named, False, trust)
    else:
        with pytest.raises(NotTrusted):
            check_attestation(text, named, False, trust)


def test_a_copy_in_an_environment_is_proven_by_what_was_judged_under_another_name(key, trust):
    copied = replace(MOVE, model="prod.wine", version=4)
    check_attestation(evidence(key), copied, True, trust)
    with pytest.raises(NotTrusted):
        check_attestation(evidence(key), copied, False, trust)
    with pytest.raises(NotTrusted):
        check_attestation(evidence(key, digest="e" * 64), copied, True, trust)


def test_an_unknown_key_proves_nothing(trust):
    with pytest.raises(NotTrusted, match="a key that this registry does not know"):
        check_attestation(evidence(SigningKey.generate()), MOVE, False, trust)


def test_every_character_of_a_proof_counts(key, trust):
    text = evidence(key)
    for at in range(0, len(text), 7):
        other = "A" if text[at] != "A" else "B"
        with pytest.raises(NotTrusted):
            check_attestation(text[:at] + other + text[at + 1 :], MOVE, False, trust)


@pytest.mark.parametrize("payload", ["", "{}", "[]", "null", json.dumps({"model": "wine"})])
def test_what_is_signed_and_no_evidence_proves_nothing(key, trust, payload):
    for permission, move in ((Permission.EVIDENCE, MOVE), (Permission.OVERRIDE, OVERRIDDEN)):
        with pytest.raises(NotTrusted):
            check_attestation(sign(key, permission, payload), move, False, trust)


def test_an_override_is_proven_by_the_override(key, trust):
    check_attestation(sign(key, Permission.OVERRIDE, OVERRIDE.to_json()), OVERRIDDEN, False, trust)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"model": "beer"},
        {"stage": "staging"},
        {"digest": "e" * 64},
        {"until": NOW + timedelta(days=1)},
        {"kind": RequestKind.PROMOTE},
    ],
    ids=str,
)
def test_another_override_is_no_proof(key, trust, change):
    with pytest.raises(NotTrusted):
        check_attestation(
            sign(key, Permission.OVERRIDE, replace(OVERRIDE, **change).to_json()), OVERRIDDEN, False, trust
        )


def test_evidence_is_no_override_and_an_override_no_evidence(key, trust):
    with pytest.raises(NotTrusted):
        check_attestation(evidence(key), OVERRIDDEN, False, trust)
    with pytest.raises(NotTrusted):
        check_attestation(sign(key, Permission.OVERRIDE, OVERRIDE.to_json()), MOVE, False, trust)


def test_a_key_without_the_permission_proves_no_override(tmp_path, key):
    trust = TrustStore(tmp_path / "evidence-only.json")
    trust.trust(key, "ci", [Permission.EVIDENCE], NOW)
    with pytest.raises(NotTrusted, match="may not sign override"):
        check_attestation(sign(key, Permission.OVERRIDE, OVERRIDE.to_json()), OVERRIDDEN, False, trust)
