"""What a trusted key signed is read; nothing else ever is, and nothing else than a refusal ever comes of it."""

from __future__ import annotations

import base64
from bisect import bisect_left
from string import ascii_letters, digits

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lifecycle.errors import NotTrusted, UsageError
from lifecycle.signing.jws import payload_of, sign, verify
from lifecycle.signing.trust import Permission, TrustStore

EVIDENCE, OVERRIDE = Permission.EVIDENCE, Permission.OVERRIDE
PAYLOAD = '{"model":"flights-delay","outcome":"PASSED","version":3}'
FOREIGN = [".", "=", "+", "/", " ", "\n", "\0", "é", "\uff21", "\ud800"]
MISPRINTS = [*ascii_letters, *digits, "-", "_", *FOREIGN]


@pytest.fixture(scope="session")
def signed(key):
    return sign(key, EVIDENCE, PAYLOAD)


def assert_refused(text: str, trust: TrustStore, permission: Permission = EVIDENCE) -> None:
    with pytest.raises(NotTrusted):
        verify(text, permission, trust)


def test_what_was_signed_is_read_and_whose_key_it_was(signed, trust, key):
    payload, signer = verify(signed, EVIDENCE, trust)
    assert payload == PAYLOAD
    assert (signer.name, signer.kid) == ("ci", key.kid)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("")
@example("naïve 航空 \N{AIRPLANE} \0")
def test_any_text_comes_back_as_it_was(key, trust, text):
    signed = sign(key, EVIDENCE, text)
    assert verify(signed, EVIDENCE, trust)[0] == payload_of(signed) == text


def test_the_longest_text_that_can_be_signed_can_be_read(key, trust):
    def signed(length: int) -> str | None:
        try:
            return sign(key, EVIDENCE, "x" * length)
        except UsageError:
            return None

    longest = bisect_left(range(200_000), True, key=lambda length: signed(length) is None) - 1
    assert 74_000 < longest < 75_000
    assert verify(signed(longest), EVIDENCE, trust)[0] == "x" * longest
    with pytest.raises(UsageError, match="100000 are allowed"):
        sign(key, EVIDENCE, "x" * (longest + 1))


def test_what_is_no_unicode_is_not_signed(key):
    with pytest.raises(UsageError, match="not valid Unicode"):
        sign(key, EVIDENCE, "\ud800")


# Changed on the way


def test_no_character_can_be_replaced(signed, trust):
    for position, character in enumerate(signed):
        for misprint in MISPRINTS:
            if misprint != character:
                assert_refused(signed[:position] + misprint + signed[position + 1 :], trust)


def test_no_character_can_be_inserted(signed, trust):
    for position in range(len(signed) + 1):
        for extra in ["A", "x", "-", *FOREIGN]:
            assert_refused(signed[:position] + extra + signed[position:], trust)


def test_no_character_can_be_left_out_and_no_end_cut_off(signed, trust):
    for position in range(len(signed)):
        assert_refused(signed[:position] + signed[position + 1 :], trust)
        assert_refused(signed[:position], trust)
        assert_refused(signed[position + 1 :], trust)


def test_no_bit_of_what_the_text_stands_for_can_be_flipped(signed, trust):
    segments = [base64.urlsafe_b64decode(segment + "==") for segment in signed.split(".")]
    for which, raw in enumerate(segments):
        for bit in range(8 * len(raw)):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            parts = [*segments[:which], bytes(flipped), *segments[which + 1 :]]
            assert_refused(".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in parts), trust)


@settings(deadline=None)
@given(data=st.data())
def test_no_piece_can_be_replaced_by_another(signed, trust, data):
    start = data.draw(st.integers(0, len(signed)))
    end = data.draw(st.integers(start, len(signed)))
    text = signed[:start] + data.draw(st.text(max_size=60)) + signed[end:]
    if text != signed:
        assert_refused(text, trust)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_other_text_is_read(trust, text):
    assert_refused(text, trust)


@pytest.mark.parametrize(
    "around", [" {}", "{} ", "{}\n", "\ufeff{}", '"{}"', "Bearer {}", "{}=", "{}==", "{}.", ".{}"]
)
def test_nothing_stands_around_it(signed, trust, around):
    assert_refused(around.format(signed), trust)


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize("padding", ["=", "==", "A", "AAAA"])
def test_no_part_of_it_is_padded(signed, trust, segment, padding):
    parts = signed.split(".")
    parts[segment] += padding
    assert_refused(".".join(parts), trust)


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_no_part_of_it_comes_from_another_text_of_the_same_key(signed, trust, key, breaker, segment):
    parts = signed.split(".")
    others = sign(key, EVIDENCE, PAYLOAD.replace("3", "4")), sign(breaker, OVERRIDE, PAYLOAD)
    for other in (o.split(".")[segment] for o in others):
        if other != parts[segment]:
            assert_refused(".".join([*parts[:segment], other, *parts[segment + 1 :]]), trust)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128])
def test_a_signature_has_64_bytes(by_hand, trust, key, length):
    header = {"alg": "Ed25519", "kid": key.kid, "typ": "lifecycle-evidence+jws"}
    sign_it = key.jwk.private_key.sign
    assert verify(by_hand(header), EVIDENCE, trust)[0] == "{}"
    assert_refused(by_hand(header, sign=lambda m: (sign_it(m) * 2)[:length]), trust)
    assert_refused(by_hand(header, sign=lambda _: bytes(length)), trust)


def test_a_signature_has_no_second_form(by_hand, trust, key):
    """With the group's order added to its second half, the equation still holds (RFC 8032, 8.4)."""
    order = 2**252 + 27742317777372353535851937790883648493

    def other_form(message: bytes) -> bytes:
        signature = key.jwk.private_key.sign(message)
        return signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")

    header = {"alg": "Ed25519", "kid": key.kid, "typ": "lifecycle-evidence+jws"}
    assert_refused(by_hand(header, sign=other_form), trust)


def test_what_was_signed_is_text(by_hand, trust, key):
    header = {"alg": "Ed25519", "kid": key.kid, "typ": "lifecycle-evidence+jws"}
    with pytest.raises(NotTrusted, match="not UTF-8 text"):
        verify(by_hand(header, payload=b"\xff\xfe{}"), EVIDENCE, trust)


# Large and deep


def test_a_text_that_is_too_long_is_not_even_verified(by_hand, trust, key):
    header = {"alg": "Ed25519", "kid": key.kid, "typ": "lifecycle-evidence+jws"}
    for size in (74_000, 75_000):
        text = by_hand(header, payload=b"x" * size)
        if len(text) <= 100_000:
            assert verify(text, EVIDENCE, trust)[0] == "x" * size
        else:
            assert_refused(text, trust)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a" * 1_000_000, "." * 1_000_000, "é" * 1_000_000, "a." * 500_000, "{" * 1_000_000],
    ids=lambda text: f"{text[:3]}x{len(text)}",
)
def test_a_text_that_is_far_too_long_or_empty(trust, text):
    assert_refused(text, trust)


@pytest.mark.parametrize(
    "text", ["", "{}", "a.b", "a.b.c.d", "*.e30.*", "e30.e31.e30", "e30._w.e30", "a" * 1_000_000]
)
def test_looking_at_what_is_no_signed_text(text):
    with pytest.raises(ValueError, match=r"not a signed text|decode"):
        payload_of(text)


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize("length", [90_000, 1_000_000])
def test_a_part_that_is_far_too_long(signed, trust, segment, length):
    parts = signed.split(".")
    parts[segment] = "A" * length
    assert_refused(".".join(parts), trust)


@pytest.mark.parametrize("depth", [2, 90, 20_000])
@pytest.mark.parametrize("shape", ['{{"kid":{}1{}}}', "{}{}", '{{"alg":"Ed25519","kid":"x","typ":{}1{}}}'])
def test_a_header_that_is_nested(by_hand, trust, shape, depth):
    for opening, closing in ("[]", ('{"a":', "}")):
        assert_refused(by_hand(shape.format(opening * depth, closing * depth).encode()), trust)


# What a key may


def test_one_kind_of_text_never_passes_for_the_other(key, breaker, trust):
    for signer, permission in ((key, OVERRIDE), (breaker, EVIDENCE)):
        with pytest.raises(NotTrusted, match=f"may not sign {permission}"):
            verify(sign(signer, permission, PAYLOAD), permission, trust)
    assert_refused(sign(key, EVIDENCE, PAYLOAD), trust, OVERRIDE)
    assert_refused(sign(breaker, OVERRIDE, PAYLOAD), trust, EVIDENCE)


def test_a_key_with_both_permissions_still_signs_two_kinds_of_text(key, store, now):
    store.trust(key, "both", Permission, now)
    assert verify(sign(key, OVERRIDE, PAYLOAD), OVERRIDE, store)[0] == PAYLOAD
    assert_refused(sign(key, OVERRIDE, PAYLOAD), store, EVIDENCE)
    assert_refused(sign(key, EVIDENCE, PAYLOAD), store, OVERRIDE)


def test_what_a_revoked_key_signed_counts_no_more_and_again_when_it_is_trusted_again(signed, key, store, now):
    store.trust(key, "ci", [EVIDENCE], now)
    assert verify(signed, EVIDENCE, store)
    store.revoke("ci", now)
    with pytest.raises(NotTrusted, match="'ci' that signed it was revoked"):
        verify(signed, EVIDENCE, store)
    store.trust(key, "ci", [EVIDENCE], now)
    assert verify(signed, EVIDENCE, store)


def test_a_stranger_learns_whom_to_ask(signed, store, key):
    with pytest.raises(NotTrusted, match=rf"{key.kid}.*lifecycle keys trust"):
        verify(signed, EVIDENCE, store)
