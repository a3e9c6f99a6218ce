"""Where this machine's key lies: a file of its home that its owner alone can read, or one from the environment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from lifecycle.errors import ConfigError
from lifecycle.signing.files import TooOpenError, locked, read_closed, write_closed
from lifecycle.signing.keys import PublicKey, SigningKey

KEY_VARIABLE = "LIFECYCLE_SIGNING_KEY"
"""Environment variable with the PEM text of a private key, or the path of its file."""

_PEM_START = "-----BEGIN"
_OTHERS = 0o077


def signing_key(home: Path, environ: Mapping[str, str]) -> SigningKey:
    """The key of this machine: the environment's, else the one in ``home``, which is made when it is missing.

    Raises:
        ConfigError: what is there is no Ed25519 private key, or others may read the file.
        Unavailable: it cannot be written.
    """
    found = present_key(home, environ)
    if found is not None:
        return found
    file = private_file(home)
    with locked(file):  # of several processes that make one at once, all use the first one's
        if not file.exists():
            write_closed(file, SigningKey.made().private_pem, 0o600)
    return _read(file, str(file))


def present_key(home: Path, environ: Mapping[str, str]) -> SigningKey | None:
    """The same, without making one.

    Raises:
        ConfigError: as :func:`signing_key`.
    """
    named = environ.get(KEY_VARIABLE, "")
    if named.lstrip().startswith(_PEM_START):
        return SigningKey.from_pem(named, KEY_VARIABLE)
    if named:  # never in a message: it may be a key whose first line got lost
        return _read(Path(named), KEY_VARIABLE, f'"${KEY_VARIABLE}"')
    file = private_file(home)
    return _read(file, str(file)) if file.exists() else None


def write_public_half(key: PublicKey, home: Path) -> Path:
    """Put the half that anybody may see beside the private one, to be handed to whoever runs a registry.

    Raises:
        Unavailable: it cannot be written.
    """
    file = private_file(home).with_name("signing.pub.pem")
    write_closed(file, key.pem.encode(), 0o644)
    return file


def private_file(home: Path) -> Path:
    """The private key of a home."""
    return home / "keys" / "signing.pem"


def _read(file: Path, where: str, argument: str = "") -> SigningKey:
    try:
        return SigningKey.from_pem(read_closed(file, _OTHERS).decode("ascii"), where)
    except TooOpenError:
        raise ConfigError(
            f"{where}: others may read this private key; run: chmod 600 {argument or shlex.quote(str(file))}"
        ) from None
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{where}: no private key can be read there ({type(exc).__name__})") from None
