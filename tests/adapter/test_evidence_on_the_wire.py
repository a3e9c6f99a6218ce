"""Evidence counts when a trusted key has signed it, for this version and its files, and then for a while."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lifecycle.domain.ledger import Action
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.promotion.decide import CLOCK_TOLERANCE
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.registry import tags
from lifecycle.signing.jws import sign
from lifecycle.signing.trust import Permission

SEED = 20261122
KEY = tags.EVIDENCE + "production"


def encoded(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def whole(registry: Any) -> str:
    """Evidence that would be taken."""
    text: str = registry.signed(registry.evidence())
    return text


def rewritten(text: str, header: dict[str, Any], signature: bytes | None = None) -> str:
    """The same payload under another header."""
    _, payload, original = text.split(".")
    return f"{encoded(header)}.{payload}.{original if signature is None else encoded(signature)}"


def with_payload(text: str, **change: Any) -> str:
    header, payload, signature = text.split(".")
    fields = json.loads(base64.urlsafe_b64decode(payload + "==")) | change
    return f"{header}.{encoded(json.dumps(fields, sort_keys=True, separators=(',', ':')).encode())}.{signature}"


def refused_and_worthless(registry: Any, value: str, status: int = 403) -> str:
    """Neither stored nor shown, and no help with a promotion."""
    words: str = registry.refused(registry.write, KEY, value, status=status)
    assert registry.shown() == {}
    assert registry.sql("SELECT count(*) FROM lifecycle_evidence") == [(0,)]
    assert "no gate has been run" in registry.refused(registry.move)
    assert registry.state() == (["None", "None"], {})
    return words


@pytest.mark.database
def test_signed_evidence_is_kept_and_shown_as_it_was_signed(registry):
    text = whole(registry)
    registry.write(KEY, text)
    assert registry.shown()[KEY] == text
    assert registry.sql("SELECT signed, received_from FROM lifecycle_evidence") == [(text, "unauthenticated")]


@pytest.mark.database
def test_the_same_evidence_again_is_kept_once(registry):
    record = registry.evidence()
    for _ in range(3):
        registry.deliver(record)
    assert registry.sql("SELECT count(*) FROM lifecycle_evidence") == [(1,)]
    assert "· attempt 1 ·" in registry.shown()["lifecycle.production"]


TYP = "lifecycle-evidence+jws"

FORGERIES: dict[str, Callable[[Any], str]] = {
    "unsigned": lambda r: r.evidence().to_json(),
    "alg none": lambda r: rewritten(whole(r), {"alg": "none", "typ": TYP}, b""),
    "alg none, under a known name": lambda r: rewritten(
        whole(r), {"alg": "none", "kid": r.ci.kid, "typ": TYP}, b""
    ),
    "another algorithm": lambda r: rewritten(whole(r), {"alg": "HS256", "kid": r.ci.kid, "typ": TYP}),
    "the key in the header": lambda r: rewritten(
        whole(r), {"alg": "Ed25519", "jwk": r.stranger.jwk.as_dict(private=False)}
    ),
    "a known name on a stranger's": lambda r: rewritten(
        r.signed(r.evidence(), r.stranger), {"alg": "Ed25519", "kid": r.ci.kid, "typ": TYP}
    ),
    "no signature": lambda r: whole(r).rsplit(".", 1)[0] + ".",
    "two signatures": lambda r: whole(r) + "." + whole(r).rsplit(".", 1)[1],
    "another run": lambda r: with_payload(whole(r), run_id="r2"),
    "another version": lambda r: with_payload(whole(r), version=2),
    "later expiry": lambda r: with_payload(whole(r), expires_at="2099-01-01T00:00:00.000000Z"),
    "a key that nobody knows": lambda r: r.signed(r.evidence(), r.stranger),
    "signed as an override": lambda r: sign(r.operator, Permission.OVERRIDE, r.evidence().to_json()),
    "an override": lambda r: r.signed_override(r.wish()),
    "nothing": lambda _: "",
    "a space before it": lambda r: " " + whole(r),
    "a line end behind it": lambda r: whole(r) + "\n",
    "padded": lambda r: whole(r) + "==",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_no_trusted_key_signed_is_refused(registry, forgery):
    refused_and_worthless(registry, FORGERIES[forgery](registry))


def test_300_random_changes_of_one_character_are_all_refused(registry):
    chance = random.Random(SEED)
    text = registry.signed(registry.evidence())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.="
    for round_number in range(300):
        at = chance.randrange(len(text))
        other = chance.choice([c for c in alphabet if c != text[at]])
        words = registry.refused(registry.write, KEY, text[:at] + other + text[at + 1 :])
        assert words, f"seed {SEED}, round {round_number}"
    refused_and_worthless(registry, "")


def test_a_key_that_may_only_override_signs_no_evidence(registry):
    registry.trust.trust(registry.operator, "operator", [Permission.OVERRIDE], registry.now())
    words = refused_and_worthless(registry, registry.signed(registry.evidence(), registry.operator))
    assert "'operator'" in words
    assert "may not sign evidence" in words


def test_an_unknown_key_is_named_so_that_somebody_can_trust_it(registry):
    words = refused_and_worthless(registry, registry.signed(registry.evidence(), registry.stranger))
    assert registry.stranger.kid in words
    assert "lifecycle keys trust" in words


def test_a_key_that_was_revoked_signs_no_more(registry):
    registry.trust.revoke("ci", registry.now())
    assert "'ci'" in refused_and_worthless(registry, registry.signed(registry.evidence()))


def test_what_a_key_signed_before_it_was_revoked_counts_no_more(registry):
    registry.judge()
    registry.trust.revoke("ci", registry.now())
    assert "not trusted (any more)" in registry.refused(registry.move)
    registry.deliver(registry.evidence(), registry.operator)
    registry.move()
    assert registry.state() == (["Production", "None"], {"champion": 1})


def test_what_was_promoted_stays_when_its_key_is_revoked(registry):
    registry.promote()
    registry.trust.revoke("ci", registry.now())
    assert registry.state() == (["Production", "None"], {"champion": 1})
    assert "any more" in registry.refused(registry.ask, PromotionRequest("wine", 1, "production"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": [{}]}'])
def test_a_file_of_trusted_keys_that_broke_meanwhile_lets_nothing_through(registry, content):
    registry.judge()
    registry.trust.file.write_text(content)
    for call, *args in ((registry.move,), (registry.judge, 2), (registry.override, 2)):
        assert "not a file of trusted keys" in registry.refused(call, *args)
    assert registry.state() == (["None", "None"], {})


ANOTHERS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "version": (lambda registry: registry.evidence(2), 400),
    "model": (lambda registry: registry.evidence(1, model="beer"), 400),
    "stage": (lambda registry: registry.evidence(1, registry.staging), 400),
    "files": (lambda registry: registry.evidence(1, digest=registry.evidence(2).digest), 403),
}


@pytest.mark.parametrize("whose", ANOTHERS)
def test_evidence_of_another_is_refused(registry, whose):
    record, status = ANOTHERS[whose]
    refused_and_worthless(registry, registry.signed(record(registry)), status)


def test_evidence_under_another_policy_does_not_count(registry):
    stricter = replace(registry.production, gates=(*registry.production.gates, GateSpec("parity")))
    registry.deliver(replace(registry.evidence(policy=stricter)))
    assert "the policy has changed since its gates ran" in registry.refused(registry.move)


# Time


@pytest.mark.database
def test_evidence_expires(registry):
    registry.deliver(registry.evidence(expires_at=registry.now() + timedelta(hours=1)))
    registry.ahead = timedelta(hours=2)
    assert "expired" in registry.refused(registry.move)


def test_evidence_expires_when_the_policy_says_so_whatever_it_says_itself(registry):
    registry.deliver(registry.evidence(expires_at=registry.now() + timedelta(days=9_000)))
    registry.ahead = registry.production.max_age + timedelta(minutes=1)
    assert "expired" in registry.refused(registry.move)


@pytest.mark.parametrize(("ahead", "counts"), [(timedelta(minutes=1), True), (timedelta(hours=1), False)])
def test_a_clock_may_be_a_minute_ahead_and_not_an_hour(registry, ahead, counts):
    assert timedelta(minutes=1) < CLOCK_TOLERANCE < timedelta(hours=1)
    dated = registry.now() + ahead
    registry.deliver(registry.evidence(created_at=dated, expires_at=dated + timedelta(days=1)))
    if counts:
        registry.move()
        assert registry.state() == (["Production", "None"], {"champion": 1})
    else:
        assert "dated in the future; check the clocks" in registry.refused(registry.move)


# The table


@pytest.mark.database
def test_a_row_that_somebody_wrote_by_hand_allows_nothing(registry):
    registry.judge(1)
    for text in (
        registry.evidence(2).to_json(),
        registry.signed(registry.evidence(2), registry.stranger),
        registry.signed(registry.evidence(1)),
        "",
    ):
        registry.sql("DELETE FROM lifecycle_evidence WHERE version = 2")
        registry.sql(
            "INSERT INTO lifecycle_evidence (model_uid, version, stage, evidence_id, signed, received_from) "
            "SELECT model_uid, 2, stage, 'e', ?, received_from FROM lifecycle_evidence WHERE version = 1",
            text,
        )
        assert "not trusted (any more)" in registry.refused(registry.move, 2)
    assert registry.state() == (["None", "None"], {})


@pytest.mark.database
def test_rows_whose_texts_were_swapped_allow_nothing(registry):
    for version in (1, 2):
        registry.judge(version)
    before = dict(registry.sql("SELECT version, signed FROM lifecycle_evidence"))
    for version, other in ((1, 2), (2, 1)):
        registry.sql("UPDATE lifecycle_evidence SET signed = ? WHERE version = ?", before[other], version)
        registry.refused(registry.move, version)
    assert registry.state() == (["None", "None"], {})


@pytest.mark.database
def test_a_row_that_was_carried_over_from_another_model_allows_nothing(registry):
    registry.add("beer")
    registry.judge(1, model="beer")
    registry.judge(1)
    (foreign,) = registry.sql("SELECT signed FROM lifecycle_evidence ORDER BY id LIMIT 1")
    registry.sql("UPDATE lifecycle_evidence SET signed = ?", *foreign)
    registry.refused(registry.move)
    assert registry.state() == (["None", "None"], {})


@pytest.mark.database
def test_the_ledger_names_the_evidence_that_it_rests_on(registry):
    record = registry.evidence()
    registry.deliver(record)
    registry.move()
    (entry,) = registry.ledger()
    assert (entry.action, entry.evidence_id, entry.digest) == (Action.PROMOTED, record.evidence_id, record.digest)
