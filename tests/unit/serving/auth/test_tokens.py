"""Tokens of an issuer: the good ones name somebody, and no forged one does."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from joserfc.jwk import ECKey, OKPKey

from lifecycle.processes.process import wait_until
from lifecycle.serving.access import Permission
from lifecycle.serving.auth.caller import NotKnown
from lifecycle.serving.auth.issuer import IssuerKeys
from lifecycle.serving.auth.jwks import read_jwks
from lifecycle.serving.auth.tokens import Tokens
from lifecycle.serving.refusal import Refusal
from tests.issuer import AUDIENCE, forged, running_issuer


@pytest.fixture(scope="module")
def issuer():
    with running_issuer() as issuer:
        issuer.add("ec-1", "ES256", ECKey.generate_key("P-256"))
        issuer.add("ed-1", "EdDSA", OKPKey.generate_key("Ed25519"))
        issuer.add("ed-2", "Ed25519", OKPKey.generate_key("Ed25519"))
        issuer.publish()
        yield issuer


@pytest.fixture
def tokens(issuer):
    tokens = reader(issuer, again_s=0.3)
    yield tokens
    tokens.close()


def reader(issuer, clock=time.time, **intervals):
    keys = IssuerKeys(lambda: read_jwks(issuer.url, ""), **intervals)
    wait_until(lambda: keys.generation > 0, 10, "the keys are there")
    return Tokens(issuer.url, AUDIENCE, keys, clock)


def known(tokens, token):
    """Whom it names, waiting where the server would tell the client to."""
    found = []

    def decided() -> bool:
        try:
            found.append(tokens.find(token.encode()))
        except Refusal as refusal:
            return (refusal.status, dict(refusal.headers)) == (503, {})  # never: a 503 says when to come back
        return True

    wait_until(decided, 10, "the issuer's keys are fetched")
    return found[0]


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1", "ed-2"])
def test_a_good_token_names_its_subject(issuer, tokens, kid):
    caller = known(tokens, issuer.token(kid))
    assert (caller.name, caller.may) == ("me@example.org", {Permission.PREDICT})
    assert tokens.find(issuer.token(kid).encode()).name == "me@example.org"


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"scope": "openid predict"}, {"predict"}),
        ({"scope": None, "scp": "admin"}, {"predict", "admin"}),
        ({"scope": None, "scp": ["x", "lifecycle:predict"]}, {"predict"}),
        ({"scope": None, "roles": ["lifecycle:admin"]}, {"predict", "admin"}),
        ({"scope": "predict", "roles": ["admin"]}, {"predict", "admin"}),
        ({"scope": "openid profile"}, set()),
        ({"scope": "predictor administrator Admin"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"admin": True}, "roles": [["admin"], 1]}, set()),
    ],
)
def test_scopes_say_what_it_opens(issuer, tokens, claims, may):
    assert known(tokens, issuer.token(**claims)).may == may


@pytest.mark.parametrize(
    "apart",
    [{"exp": -30}, {"nbf": 30}, {"nbf": -30, "iat": 1}],
)
def test_clocks_may_differ_by_a_minute(issuer, tokens, apart):
    claims = {name: time.time() + seconds for name, seconds in apart.items()}
    assert known(tokens, issuer.token(**claims)).name == "me@example.org"


def test_an_audience_may_be_one_of_several(issuer, tokens):
    assert known(tokens, issuer.token(aud=["other", AUDIENCE])).name == "me@example.org"


FORGED = [
    "alg none", "alg None", "alg a list", "no alg", "HS256 with the public key", "RS512", "ES256 by name",
    "a stranger's key", "a key that it brings", "another kid", "no kid", "kid a number", "critical extensions",
    "another kind", "kind a list", "header twice", "tampered header", "tampered payload", "tampered signature",
    "another spelling of the signature", "no signature", "two segments", "four segments", "no JSON", "not base64",
    "no object", "wrong audience", "no audience", "part of the audience", "wrong issuer", "no issuer",
    "issuer with a slash", "expired", "no exp", "exp a text", "exp NaN", "exp infinite",
    "exp of 400 digits", "exp true", "future nbf",
    "nbf NaN", "nobody", "two lines of a log", "10,000 characters",
]  # fmt: skip


@pytest.fixture(scope="module")
def forgeries(issuer):
    return forged(issuer)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_or_misused_token_names_nobody(forgeries, tokens, name):
    with pytest.raises(NotKnown) as refused:
        known(tokens, forgeries[name])
    words = str(refused.value)
    assert "\n" not in words
    assert not any(segment and segment in words for segment in forgeries[name].split("."))


def test_every_forgery_is_tried(forgeries):
    assert set(FORGED) == set(forgeries)


def test_a_token_counts_until_it_has_expired_also_when_it_is_known_already(issuer):
    now = [time.time()]
    tokens = reader(issuer, clock=lambda: now[0])
    token = issuer.token(exp=now[0] + 100).encode()
    tokens.find(token)
    now[0] += 159
    tokens.find(token)
    now[0] += 2
    with pytest.raises(NotKnown, match="expired"):
        tokens.find(token)
    tokens.close()


def test_the_signature_is_verified_once_and_what_is_remembered_is_bounded(issuer, tokens, monkeypatch):
    monkeypatch.setattr("lifecycle.serving.auth.tokens._CACHED", 3)
    many = [issuer.token("ed-2", n=number) for number in range(10)]
    for token in many:
        known(tokens, token)
    assert len(tokens._known) == 3
    monkeypatch.setattr(tokens, "_verified", None)
    assert tokens.find(many[-1].encode()).name == "me@example.org"
    with pytest.raises(TypeError):
        tokens.find(many[0].encode())


def test_a_token_of_10_000_characters_is_not_even_hashed(issuer, tokens, monkeypatch):
    monkeypatch.setattr("lifecycle.serving.auth.tokens.sha256", None)
    with pytest.raises(NotKnown, match="8192"):
        tokens.find(b"a" * 10_000)


def test_a_withdrawn_key_vouches_for_nothing_any_more_also_for_tokens_that_are_known():
    with running_issuer() as issuer:
        tokens = reader(issuer, refresh_s=0.05, again_s=600)
        old = issuer.token()
        assert known(tokens, old).name == "me@example.org"
        issuer.add("ed-9", "EdDSA", OKPKey.generate_key("Ed25519"))
        issuer.publish("ed-9")
        wait_until(lambda: tokens._keys.generation == 2, 10, "the keys are fetched again")
        assert known(tokens, issuer.token("ed-9")).name == "me@example.org"
        with pytest.raises(NotKnown, match="no key that the issuer has"):
            known(tokens, old)
        tokens.close()


def test_a_token_with_a_new_key_has_the_keys_fetched_before_their_time():
    with running_issuer() as issuer:
        tokens = reader(issuer, refresh_s=600, again_s=0.1)
        issuer.add("ed-9", "EdDSA", OKPKey.generate_key("Ed25519"))
        issuer.publish()

        def taken() -> bool:
            with suppress(NotKnown):
                return known(tokens, issuer.token("ed-9")).name == "me@example.org"
            return False  # that soon after the last look there is no other

        wait_until(taken, 10, "the new key is known")
        assert issuer.asked.count("/jwks") == 2
        tokens.close()
