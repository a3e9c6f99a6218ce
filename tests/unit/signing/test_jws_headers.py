"""A header says one thing in one way; everything else that the standard allows is how such texts get forged.

Unless said otherwise the trusted key has really signed the text, so that the header alone gives it away.
"""

from __future__ import annotations

import base64
import json

import pytest

from lifecycle.errors import NotTrusted
from lifecycle.signing.jws import verify
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import Permission, TrustStore


def assert_refused(text: str, trust: TrustStore) -> None:
    with pytest.raises(NotTrusted) as refusal:
        verify(text, Permission.EVIDENCE, trust)
    said = str(refusal.value)
    assert len(said) < 250
    assert said.isprintable()
    assert "/" not in said


def header_of(key: SigningKey, **changed: object) -> dict[str, object]:
    header = {"alg": "Ed25519", "kid": key.kid, "typ": "lifecycle-evidence+jws"} | changed
    return {name: value for name, value in header.items() if value is not ...}


@pytest.mark.parametrize(
    "changed",
    [
        *({"alg": alg} for alg in ("none", "None", "NONE", "", "HS256", "HS512", "ES256", "RS256", "PS256")),
        *({"alg": alg} for alg in ("EdDSA", "Ed448", "ed25519", "ED25519", "Ed25519 ", None, 1, ["Ed25519"], ...)),
        *({"typ": typ} for typ in ("lifecycle-override+jws", "lifecycle-evidence+JWS", "JWT", "", None, ...)),
        {"typ": ["lifecycle-evidence+jws"]},
        {"b64": False},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"crit": []},
        {"crit": ["alg"]},
        {"cty": "json"},
        {"zip": "DEF"},
        {"ALG": "none"},
        {"jku": "https://example.org/keys.json"},
        {"x5u": "https://example.org/chain.pem"},
        {"x5t": "AAAA"},
    ],
    ids=str,
)
def test_one_header_and_no_other(by_hand, trust, key, changed):
    assert_refused(by_hand(header_of(key, **changed)), trust)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64])
@pytest.mark.parametrize("alg", ["none", "None", "nOnE"])
def test_not_signed_at_all(by_hand, trust, key, alg, signature):
    assert_refused(by_hand(header_of(key, alg=alg), sign=lambda _: signature), trust)


def test_the_public_key_is_no_secret_to_sign_with(by_hand, trust, key):
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC

    public = key.jwk.public_key.public_bytes_raw()
    for secret in (public, key.pem.encode(), key.pem.strip().encode(), key.coordinate.encode(), key.kid.encode()):

        def hmac(message: bytes, secret: bytes = secret) -> bytes:
            code = HMAC(secret, SHA256())
            code.update(message)
            return code.finalize()

        assert_refused(by_hand(header_of(key, alg="HS256"), sign=hmac), trust)
        assert_refused(by_hand(header_of(key), sign=hmac), trust)


def test_a_key_that_the_header_brings_is_not_used(by_hand, trust, key):
    stranger = SigningKey.generate()
    sign_it = stranger.jwk.private_key.sign
    jwk = stranger.jwk.as_dict(private=False)
    der = base64.b64encode(stranger.jwk.as_der(private=False)).decode()
    for extra in ({}, {"jwk": jwk}, {"x5c": [der]}, {"jwk": jwk, "kid": stranger.kid}, {"kid": stranger.kid}):
        assert_refused(by_hand(header_of(key, **extra), sign=sign_it), trust)


@pytest.mark.parametrize(
    "kid",
    [
        *(None, ..., 1, 1.5, True, [], {}, ["{kid}"], {"kid": "{kid}"}),
        *("", "{kid}\n", " {kid}", "{kid}{kid}", "{lower}", "{breaker}", "A" * 43, "é" * 43),
        *("ci", "*", "../../../etc/passwd", "/dev/null", "' OR 1=1 --", "\0"),
    ],
    ids=repr,
)
def test_the_key_is_named_by_its_thumbprint(by_hand, trust, key, breaker, kid):
    def filled(value):
        if isinstance(value, str):
            return (
                value.replace("{kid}", key.kid)
                .replace("{breaker}", breaker.kid)
                .replace("{lower}", key.kid.lower())
            )
        if isinstance(value, list):
            return [filled(item) for item in value]
        return {name: filled(item) for name, item in value.items()} if isinstance(value, dict) else value

    assert_refused(by_hand(header_of(key, kid=filled(kid))), trust)


@pytest.mark.parametrize(
    "raw",
    [
        '{{"alg":"none",{rest}}}',
        '{{{rest},"alg":"Ed25519"}}',
        '{{{rest},"kid":"{kid}"}}',
        '{{"kid":"{other}",{rest}}}',
        '{{"typ":"lifecycle-override+jws",{rest}}}',
        "[{{{rest}}}]",
        "{{{rest}}} {{}}",
        "{{{rest},}}",
        "\ufeff{{{rest}}}",
        '"{kid}"',
        "null",
        "NaN",
        "",
    ],
)
def test_a_header_means_one_thing(by_hand, trust, key, breaker, raw):
    rest = json.dumps(header_of(key))[1:-1]
    assert_refused(by_hand(raw.format(rest=rest, kid=key.kid, other=breaker.kid).encode()), trust)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_header_is_utf_8(by_hand, trust, key, encoding):
    assert_refused(by_hand(json.dumps(header_of(key)).encode(encoding)), trust)
