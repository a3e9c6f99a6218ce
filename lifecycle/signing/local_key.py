"""This machine's signing key and trusted keys: the files of its home, or those that the environment names."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from lifecycle.errors import ConfigError
from lifecycle.signing.files import TooOpenError, locked, read_protected, write_protected
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.trust import TRUST_VARIABLE, Permission, TrustStore

KEY_VARIABLE = "LIFECYCLE_SIGNING_KEY"
"""Environment variable with the PEM text of a private key, or the path of its file."""

OWN_NAME = "own"
"""Name of this machine's key among the trusted keys of its own home."""

_PEM_START = "-----BEGIN"
_OTHERS = 0o077


def trust_store(home: Path, environ: Mapping[str, str]) -> TrustStore:
    """The file of trusted keys: the one that the environment names, else the home's."""
    named = environ.get(TRUST_VARIABLE, "")
    return TrustStore(Path(named) if named else _trust_file(home))


def own_key(home: Path, environ: Mapping[str, str], trust: TrustStore, now: datetime) -> SigningKey:
    """This machine's key; a key of the home is also trusted in that home to sign evidence.

    These are decisions of the registry's operator, so none is made here: a revoked key stays revoked, a key from
    the environment is not trusted, and a trust file that the environment names is not changed.

    Raises:
        ConfigError: the private key or the file of trusted keys is broken, or its mode is too open.
        Unavailable: one of them cannot be written.
    """
    key = signing_key(home, environ)
    if not environ.get(KEY_VARIABLE) and trust.file == _trust_file(home):
        trust.introduce(key, OWN_NAME, [Permission.EVIDENCE], now)
    return key


def signing_key(home: Path, environ: Mapping[str, str]) -> SigningKey:
    """This machine's key: the environment's, else the one in ``home``, which is created when it is missing.

    Raises:
        ConfigError: there is no Ed25519 private key in that file, or its mode lets others read it.
        Unavailable: the new key cannot be written.
    """
    found = present_key(home, environ)
    if found is not None:
        return found
    file = private_file(home)
    with locked(file):  # processes that start at the same time all use the key of the first
        if not file.exists():
            write_protected(file, SigningKey.generate().private_pem, 0o600)
    return _read(file, str(file))


def present_key(home: Path, environ: Mapping[str, str]) -> SigningKey | None:
    """This machine's key, or None where there is none yet. Creates nothing.

    Raises:
        ConfigError: as :func:`signing_key`.
    """
    named = environ.get(KEY_VARIABLE, "")
    if named.lstrip().startswith(_PEM_START):
        return SigningKey.from_pem(named, KEY_VARIABLE)
    if named:  # never in a message: it may be a key that lost its first line
        return _read(Path(named), KEY_VARIABLE, f'"${KEY_VARIABLE}"')
    file = private_file(home)
    return _read(file, str(file)) if file.exists() else None


def write_public_half(key: PublicKey, home: Path) -> Path:
    """Write the public key beside the private one, to be sent to the operator of a registry.

    Raises:
        Unavailable: it cannot be written.
    """
    file = private_file(home).with_name("signing.pub.pem")
    write_protected(file, key.pem.encode(), 0o644)
    return file


def private_file(home: Path) -> Path:
    """Path of a home's private key."""
    return home / "keys" / "signing.pem"


def _trust_file(home: Path) -> Path:
    return home / "keys" / "trusted.json"


def _read(file: Path, where: str, argument: str = "") -> SigningKey:
    try:
        return SigningKey.from_pem(read_protected(file, _OTHERS).decode("ascii"), where)
    except TooOpenError:
        raise ConfigError(
            f"{where}: others may read this private key; run: chmod 600 {argument or shlex.quote(str(file))}"
        ) from None
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{where}: no private key can be read there ({type(exc).__name__}). It has to be the path of a PEM "
            f"file, or the PEM text itself; lifecycle keys init creates a key"
        ) from None
