"""Ed25519 keys, read from strict PEM and named by their JWK thumbprint."""

from __future__ import annotations

import re
from typing import Final, Self

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from lifecycle.errors import ConfigError

_CURVE: Final = "Ed25519"
MAX_PEM_CHARS = 1_000
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n[A-Za-z0-9+/=\n]+\n-----END \1-----")
_PUBLIC, _PRIVATE, _ENCRYPTED = "PUBLIC KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"


class PublicKey:
    """The public half of an Ed25519 key pair."""

    def __init__(self, key: OKPKey) -> None:
        if key.curve_name != _CURVE:
            raise ConfigError("not an Ed25519 key")
        self.jwk = key

    @classmethod
    def from_pem(cls, text: str, where: str) -> Self:
        """Read a PEM text (``BEGIN PUBLIC KEY``) that holds one key and nothing else.

        Args:
            where: File or variable, for the error message.

        Raises:
            ConfigError: it is anything else, a private key included.
        """
        return cls(_imported(text, where, _PUBLIC))

    @classmethod
    def from_coordinate(cls, x: str) -> Self:
        """The key with this :attr:`coordinate`. Raises ConfigError."""
        try:
            key = OKPKey.import_key({"kty": "OKP", "crv": _CURVE, "x": x})
        except (JoseError, ValueError, TypeError) as exc:
            raise ConfigError("not the public half of an Ed25519 key") from exc
        return cls(key)

    @property
    def kid(self) -> str:
        """Key id: the JWK thumbprint (RFC 7638), 43 characters."""
        return self.jwk.thumbprint()

    @property
    def coordinate(self) -> str:
        """The public key as 43 characters of base64url (``x`` of RFC 8037)."""
        return str(self.jwk.as_dict(private=False)["x"])

    @property
    def pem(self) -> str:
        """The public half as PEM (``BEGIN PUBLIC KEY``)."""
        return self.jwk.as_pem(private=False).decode()


class SigningKey(PublicKey):
    """An Ed25519 key pair."""

    @classmethod
    def generate(cls) -> Self:
        """A new random key pair."""
        return cls(OKPKey.generate_key(_CURVE))

    @classmethod
    def from_pem(cls, text: str, where: str) -> Self:
        """Read a PEM text (``BEGIN PRIVATE KEY``) that holds one key and nothing else.

        Args:
            where: File or variable, for the error message, which never quotes the text.

        Raises:
            ConfigError: it is anything else, a public or an encrypted key included.
        """
        return cls(_imported(text, where, _PRIVATE))

    @property
    def private_pem(self) -> bytes:
        """The secret half as PEM (``BEGIN PRIVATE KEY``)."""
        return self.jwk.as_pem(private=True)


def _imported(text: str, where: str, wanted: str) -> OKPKey:
    """The one key of a PEM text. Errors hide their cause: its text may quote the key."""
    pem = text.replace("\r\n", "\n").strip()
    found = _PEM.fullmatch(pem) if len(text) <= MAX_PEM_CHARS else None
    label = found[1] if found else ""
    if label != wanted:
        raise ConfigError(f"{where}: {_instead(label, wanted)}")
    try:
        key = OKPKey.import_key(pem)
        curve = key.curve_name
    except Exception:  # cryptography's errors have no common base class
        curve = None
    if curve != _CURVE:
        raise ConfigError(f"{where}: {_instead('', wanted)}")
    return key


def _instead(label: str, wanted: str) -> str:
    if label == _PRIVATE:
        return "a private key, which never leaves its machine; send its public half (lifecycle keys init shows it)"
    if label == _PUBLIC:
        return "a public key, which cannot sign; give the private key"
    if label == _ENCRYPTED:
        return "an encrypted private key; remove the passphrase, as commands cannot ask for it"
    return f"not one Ed25519 {wanted.lower()} in PEM and nothing else; lifecycle keys init creates one"
