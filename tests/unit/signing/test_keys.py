"""One kind of key in one kind of file; whatever else comes is refused, and never quoted."""

from __future__ import annotations

import json
import re
import traceback

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.errors import ConfigError
from lifecycle.signing.keys import PublicKey, SigningKey

ED25519 = ed25519.Ed25519PrivateKey.generate()
OTHER_KINDS = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "RSA small": rsa.generate_private_key(65537, 1024),  # noqa: S505  as short as one of ours
    "EC": ec.generate_private_key(ec.SECP256R1()),
    "Ed448": ed448.Ed448PrivateKey.generate(),
    "X25519": x25519.X25519PrivateKey.generate(),
    "X448": x448.X448PrivateKey.generate(),
}


def private_pem(key, form=PrivateFormat.PKCS8, encryption=None, encoding=Encoding.PEM) -> str:
    return key.private_bytes(encoding, form, encryption or NoEncryption()).decode("latin-1")


def public_pem(key, form=PublicFormat.SubjectPublicKeyInfo, encoding=Encoding.PEM) -> str:
    return key.public_key().public_bytes(encoding, form).decode("latin-1")


PRIVATE, PUBLIC = private_pem(ED25519), public_pem(ED25519)
BODY = PRIVATE.splitlines()[1]
WRAPPED = "\n".join([PRIVATE.splitlines()[0], BODY[:32], BODY[32:], PRIVATE.splitlines()[2]])
NO_PRIVATE_KEY = {
    **{name: private_pem(key) for name, key in OTHER_KINDS.items()},
    **{f"{name} public": public_pem(key) for name, key in OTHER_KINDS.items()},
    "public": PUBLIC,
    "PKCS1": private_pem(OTHER_KINDS["RSA"], PrivateFormat.TraditionalOpenSSL),
    "SEC1": private_pem(OTHER_KINDS["EC"], PrivateFormat.TraditionalOpenSSL),
    "OpenSSH": private_pem(ED25519, PrivateFormat.OpenSSH),
    "DER": private_pem(ED25519, encoding=Encoding.DER),
    "encrypted": private_pem(ED25519, encryption=BestAvailableEncryption(b"secret")),
    "body alone": BODY,
    "JWK": json.dumps(SigningKey.from_pem(PRIVATE, "").jwk.as_dict(private=True)),
    "two keys": PRIVATE + private_pem(ed25519.Ed25519PrivateKey.generate()),
    "with its public half": PRIVATE + PUBLIC,
    "junk behind": f"{PRIVATE}junk",
    "junk before": f"junk\n{PRIVATE}",
    "junk in a line": PRIVATE.replace(BODY, f"{BODY} junk"),
    "a header in it": PRIVATE.replace(BODY, f"Proc-Type: 4,ENCRYPTED\n\n{BODY}"),
    "cut off": PRIVATE[:-8],
    "one character less": PRIVATE.replace(BODY, BODY[:-1]),
    "four characters less": PRIVATE.replace(BODY, BODY[:-4]),
    "no body": PRIVATE.replace(BODY, ""),
    "line ends as two characters": PRIVATE.replace("\n", "\\n"),
    "in one line": PRIVATE.replace("\n", " "),
    "other label": PRIVATE.replace("PRIVATE", "RSA PRIVATE"),
    "public label": PRIVATE.replace("PRIVATE", "PUBLIC"),
    "private label": PUBLIC.replace("PUBLIC", "PRIVATE"),
    "not ASCII": PRIVATE.replace(BODY[20], "é", 1),
    "1 MB": PRIVATE + " " * 1_000_000,
    "1 MB of base64": PRIVATE.replace(BODY, "A" * 1_000_000),
    "empty": "",
    "nothing": "\0",
}


def secrets_in(text: str) -> set[str]:
    """Every run of base64 that is long enough to be a piece of a key."""
    return {word[i : i + 12] for word in re.findall(r"[\w+/=-]{12,}", text) for i in range(len(word) - 11)}


def assert_quotes_nothing(error: pytest.ExceptionInfo[ConfigError], text: str) -> None:
    """Neither in the message nor in what --debug shows."""
    harmless = {"ENCRYPTED", "PRIVATE", "PUBLIC"}
    shown = "".join(traceback.format_exception(error.value))
    assert [piece for piece in secrets_in(text) - harmless if piece in shown] == []


@pytest.mark.parametrize("text", NO_PRIVATE_KEY.values(), ids=NO_PRIVATE_KEY)
def test_what_is_not_one_private_key_in_pem(text):
    with pytest.raises(ConfigError, match=r"^key\.pem: ") as error:
        SigningKey.from_pem(text, "key.pem")
    assert_quotes_nothing(error, text)


NO_PUBLIC_KEY = {
    **{name: public_pem(key) for name, key in OTHER_KINDS.items()},
    "private": PRIVATE,
    "private of another kind": private_pem(OTHER_KINDS["EC"]),
    "encrypted": private_pem(ED25519, encryption=BestAvailableEncryption(b"secret")),
    "OpenSSH": public_pem(ED25519, PublicFormat.OpenSSH, Encoding.OpenSSH),
    "OpenSSH private": private_pem(ED25519, PrivateFormat.OpenSSH),
    "DER": public_pem(ED25519, encoding=Encoding.DER),
    "PKCS1": public_pem(OTHER_KINDS["RSA"], PublicFormat.PKCS1),
    "two keys": PUBLIC + public_pem(ed25519.Ed25519PrivateKey.generate()),
    "the same twice": PUBLIC * 2,
    "a private key behind": PUBLIC + PRIVATE,
    "junk behind": f"{PUBLIC}junk",
    "junk before": f"junk\n{PUBLIC}",
    "cut off": PUBLIC[:-8],
    "1 MB": PUBLIC + "\n" * 1_000_000,
    "empty": "",
}


@pytest.mark.parametrize("text", NO_PUBLIC_KEY.values(), ids=NO_PUBLIC_KEY)
def test_what_is_not_one_public_key_in_pem(text):
    with pytest.raises(ConfigError, match=r"^key\.pem: ") as error:
        PublicKey.from_pem(text, "key.pem")
    assert_quotes_nothing(error, text)


def test_a_certificate_is_no_key():
    from datetime import UTC, datetime, timedelta

    name, now = x509.Name([]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, ED25519.public_key(), 1, now, now + timedelta(days=1))
    pem = builder.sign(ED25519, None).public_bytes(Encoding.PEM).decode()
    with pytest.raises(ConfigError, match="not one Ed25519 public key"):
        PublicKey.from_pem(pem, "key.pem")


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (PublicKey.from_pem, PRIVATE, "never leaves its machine"),
        (PublicKey.from_pem, private_pem(OTHER_KINDS["EC"]), "never leaves its machine"),
        (SigningKey.from_pem, PUBLIC, "cannot sign"),
        (SigningKey.from_pem, NO_PRIVATE_KEY["encrypted"], "passphrase"),
        *(
            (SigningKey.from_pem, private_pem(key), "lifecycle keys init creates one")
            for key in OTHER_KINDS.values()
        ),
        *(
            (PublicKey.from_pem, public_pem(key), "lifecycle keys init creates one")
            for key in OTHER_KINDS.values()
        ),
    ],
)
def test_the_refusal_says_what_it_is_instead(read, text, said):
    with pytest.raises(ConfigError, match=said):
        read(text, "key.pem")


@pytest.mark.parametrize(
    "text",
    [PRIVATE, PRIVATE.strip(), PRIVATE.replace("\n", "\r\n"), f"\n  {PRIVATE}\n\n", WRAPPED],
    ids=["as written", "no last line end", "Windows", "space around", "wrapped"],
)
def test_what_copying_does_to_line_ends_does_no_harm(text):
    key = SigningKey.from_pem(text, "key.pem")
    assert key.private_pem.decode() == PRIVATE
    assert key.pem == PUBLIC


def test_both_halves_have_one_thumbprint_and_other_keys_another():
    whole, half = SigningKey.from_pem(PRIVATE, ""), PublicKey.from_pem(PUBLIC, "")
    assert whole.kid == half.kid == PublicKey.from_coordinate(half.coordinate).kid
    assert re.fullmatch(r"[\w-]{43}", half.kid)
    assert SigningKey.generate().kid != half.kid


def test_the_thumbprint_is_the_one_of_the_standard():
    """RFC 8037, appendix A.3."""
    key = PublicKey.from_coordinate("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_pair_shows_nothing_of_its_secret():
    key = SigningKey.from_pem(PRIVATE, "")
    secret = key.jwk.as_dict(private=True)["d"]
    for shown in (repr(key), str(key), repr(key.jwk), key.pem, key.coordinate, key.kid):
        assert secret not in shown
        assert BODY[:24] not in shown


@pytest.mark.parametrize(
    "x", ["", "AA", "A" * 44, "é" * 43, "A" * 42 + "B", "=" * 43, None, 1, ["A"], {}], ids=repr
)
def test_what_is_no_coordinate(x):
    with pytest.raises(ConfigError):
        PublicKey.from_coordinate(x)


@settings(deadline=None)
@given(st.text() | st.from_regex(r"-----BEGIN (PUBLIC|PRIVATE) KEY-----\n[\w+/=\n]*\n-----END \1 KEY-----"))
def test_no_text_breaks_the_reader(text):
    for read in (PublicKey.from_pem, SigningKey.from_pem):
        with pytest.raises(ConfigError):
            read(text, "key.pem")


@settings(deadline=None)
@given(data=st.data())
def test_no_damage_breaks_the_reader_or_gives_the_same_key(data):
    position = data.draw(st.integers(0, len(PRIVATE) - 2))
    text = PRIVATE[:position] + data.draw(st.text(max_size=4)) + PRIVATE[position + 1 :]
    try:
        key = SigningKey.from_pem(text, "key.pem")
    except ConfigError:
        return
    assert key.private_pem.decode() != PRIVATE or "".join(text.split()) == "".join(PRIVATE.split())
