"""This machine's own key, and the keys that it trusts: what a laptop needs without setting anything up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from lifecycle.signing.key_file import KEY_VARIABLE, signing_key
from lifecycle.signing.keys import SigningKey
from lifecycle.signing.trust import TRUST_VARIABLE, Permission, TrustStore

OWN_NAME = "own"
"""What this machine's key is called in its own home."""


def trust_store(home: Path, environ: Mapping[str, str]) -> TrustStore:
    """The keys that count: those of the file that the environment names, else of the home's."""
    named = environ.get(TRUST_VARIABLE, "")
    return TrustStore(Path(named) if named else _home_file(home))


def own_key(home: Path, environ: Mapping[str, str], trust: TrustStore, now: datetime) -> SigningKey:
    """The key of this machine; a key of the home is trusted in the home at once, with evidence.

    Never by itself: one that was revoked, one that the environment brings, and anything in a file of trusted keys
    that the environment names. Those are decisions of whoever runs the registry.

    Raises:
        ConfigError: the private key or the file of trusted keys is broken, or too open to others.
        Unavailable: one of them cannot be written.
    """
    key = signing_key(home, environ)
    if not environ.get(KEY_VARIABLE) and trust.file == _home_file(home):
        trust.introduce(key, OWN_NAME, [Permission.EVIDENCE], now)
    return key


def _home_file(home: Path) -> Path:
    return home / "keys" / "trusted.json"
