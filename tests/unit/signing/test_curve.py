"""A point that lets anybody forge is no key; every key that somebody made is one."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import ConfigError
from lifecycle.signing.curve import is_sound
from lifecycle.signing.jws import opened
from lifecycle.signing.keys import PublicKey
from lifecycle.signing.trust import Permission

P = 2**255 - 19
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
"""One of four, as the literature lists them; the others have the other sign, of x or of y."""


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def small_order_points() -> dict[str, bytes]:
    y = int.from_bytes(ORDER_8, "little")
    ys = {"1": 1, "-1": P - 1, "0": 0, "8th": y, "-8th": P - y, "p": P, "p+1": P + 1}
    return {f"y={name}, sign {sign}": encoded(y, sign) for name, y in ys.items() for sign in (0, 1)}


SMALL = small_order_points()
NEUTRAL = encoded(1)
FORGED = NEUTRAL + bytes(32)
"""R is the neutral element and s is 0: it holds wherever the key times the hash is neutral too."""


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def holds(point: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(point).verify(FORGED, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("point", SMALL.values(), ids=SMALL)
def test_the_library_below_takes_a_forgery_with_such_a_key(point):
    """Which is why we look for them. The hash has to be a multiple of the order: one text in at most eight."""
    assert any(holds(point, b"promote version %d" % n) for n in range(200))


@pytest.mark.parametrize("point", SMALL.values(), ids=SMALL)
def test_a_point_of_small_order_is_no_key_in_whatever_form(point, store):
    assert not is_sound(point)
    key = Ed25519PublicKey.from_public_bytes(point)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ConfigError, match=r"gift\.pem: .*anybody can forge"):
        PublicKey.from_pem(pem, "gift.pem")


def test_a_forgery_is_not_read_where_somebody_wrote_such_a_key_into_the_file(store, key, by_hand, now):
    coordinate = base64url(NEUTRAL)
    jwk = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": coordinate}, separators=(",", ":"))
    kid = base64url(hashlib.sha256(jwk.encode()).digest())
    store.trust(key, "ci", [Permission.EVIDENCE], now)
    fields = json.loads(store.file.read_text())
    fields["keys"].append(fields["keys"][0] | {"kid": kid, "x": coordinate, "name": "gift"})
    store.file.write_text(json.dumps(fields))
    text = by_hand({"alg": "Ed25519", "kid": kid, "typ": "lifecycle-evidence+jws"}, sign=lambda _: FORGED)
    with pytest.raises(ConfigError, match=r"trusted\.json: .*key 2: .*anybody can forge"):
        opened(text, Permission.EVIDENCE, store)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_every_key_that_is_made_is_sound(secret):
    assert is_sound(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())


@pytest.mark.parametrize("point", [bytes([2]) + bytes(31), encoded(P - 2), encoded(P + 3), b"\xff" * 32])
def test_what_is_no_point_or_spelled_twice_is_no_key(point):
    """No x belongs to y = 2 or -2; P + 3 is 3 once more."""
    assert not is_sound(point)


def test_a_point_has_32_bytes(key):
    raw = key.jwk.public_key.public_bytes_raw() * 2
    assert [length for length in range(65) if is_sound(raw[:length])] == [32]
