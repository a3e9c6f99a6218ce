"""The key that this machine signs with: a PEM file that only its owner can read, or one from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from lifecycle.errors import ConfigError, Unavailable

KEY_VARIABLE = "LIFECYCLE_SIGNING_KEY"
"""Environment variable with the PEM text of a private key, or the path of its file."""

_CURVE: Final = "Ed25519"
_PEM_START = "-----BEGIN"


class PublicKey:
    """One half of an Ed25519 pair; the half that anybody may see."""

    def __init__(self, key: OKPKey) -> None:
        if not isinstance(key, OKPKey) or key.curve_name != _CURVE:
            raise ConfigError("not an Ed25519 key; lifecycle keys init makes one")
        self.jwk = key

    @classmethod
    def from_pem(cls, text: str, where: str) -> PublicKey:
        """Read a PEM text; the public half of a private one.

        Args:
            where: For the error.

        Raises:
            ConfigError: it is no Ed25519 key.
        """
        try:
            return cls(OKPKey.import_key(text))
        except (JoseError, ValueError, TypeError) as exc:  # whose texts may quote the key
            raise ConfigError(f"{where}: not an Ed25519 key in PEM; lifecycle keys init makes one") from exc

    @classmethod
    def from_coordinate(cls, x: str) -> PublicKey:
        """Read what :attr:`coordinate` says. Raises ConfigError."""
        try:
            return cls(OKPKey.import_key({"kty": "OKP", "crv": _CURVE, "x": x}))
        except (JoseError, ValueError, TypeError) as exc:
            raise ConfigError("not the public half of an Ed25519 key") from exc

    @property
    def kid(self) -> str:
        """The key's name for machines: its JWK thumbprint (RFC 7638), 43 characters."""
        return self.jwk.thumbprint()

    @property
    def coordinate(self) -> str:
        """The key itself, 43 characters of base64url (``x`` of RFC 8037)."""
        return str(self.jwk.as_dict(private=False)["x"])

    @property
    def pem(self) -> str:
        """The public half, as OpenSSL writes it."""
        return self.jwk.as_pem(private=False).decode()


class SigningKey(PublicKey):
    """A whole pair."""

    def __init__(self, key: OKPKey) -> None:
        super().__init__(key)
        if not key.is_private:
            raise ConfigError("this is the public half of a key, which cannot sign")


def signing_key(home: Path, environ: Mapping[str, str]) -> SigningKey:
    """The key of this machine: the environment's, else the one in ``home``, which is made when it is missing.

    Raises:
        ConfigError: what is there is no Ed25519 private key, or others may read the file.
        Unavailable: it cannot be written.
    """
    named = environ.get(KEY_VARIABLE, "")
    if named.lstrip().startswith(_PEM_START):
        return _parsed(named, KEY_VARIABLE)
    if named:
        return _read(Path(named))
    file = key_file(home)
    if not file.exists():
        _make(file)
    return _read(file)


def key_file(home: Path) -> Path:
    """Where the private key of a home lies."""
    return home / "keys" / "signing.pem"


def _make(file: Path) -> None:
    """Write a new pair; of several processes that do so at once, all use the first one's."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(OKPKey.generate_key(_CURVE).as_pem(private=True))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(aside, file)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    except OSError as exc:
        raise Unavailable(f"{file}: no key could be written: {exc.strerror}") from exc


def _read(file: Path) -> SigningKey:
    try:
        if file.stat().st_mode & 0o077:
            raise ConfigError(f"{file}: others may read this private key; run: chmod 600 {file}")
        return _parsed(file.read_text(encoding="ascii"), str(file))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: no readable private key ({type(exc).__name__})") from exc


def _parsed(text: str, where: str) -> SigningKey:
    try:
        return SigningKey(OKPKey.import_key(text))
    except (JoseError, ValueError, TypeError) as exc:  # whose texts may quote the key
        raise ConfigError(f"{where}: not an Ed25519 private key in PEM; lifecycle keys init makes one") from exc
