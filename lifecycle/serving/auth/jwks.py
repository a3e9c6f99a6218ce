"""An issuer's public keys (JWKS, RFC 7517), and where to find them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from lifecycle.errors import UsageError
from lifecycle.serving.auth.fetch import NotFetched, check_url, fetch_json
from lifecycle.signing.files import TooOpenError, read_protected, strict_json

# short keys are left out below; the library's warning about them is noise
warnings.filterwarnings("ignore", "Key size should be", SecurityWarning)

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA", "Ed25519"})
"""EdDSA is RFC 8037's name for the Ed25519 of RFC 9864, and issuers still use it. Shared secrets (HS256) and
``none`` allow forged tokens and are not supported."""

_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048
_WRITABLE_BY_OTHERS = 0o022
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and the algorithms that it verifies."""

    key: RSAKey | ECKey | OKPKey
    algorithms: frozenset[str]


def read_jwks(issuer: str, source: str) -> dict[str, PublicKey]:
    """An issuer's keys by ``kid``.

    Args:
        source: Path or URL of the JWKS; empty to use the issuer's discovery document.

    Raises:
        NotFetched: the keys cannot be fetched now.
        UsageError: the source is not allowed.
    """
    if not source:
        return _usable(fetch_json(_discovered(issuer)), f"the JWKS of {issuer}")
    if "://" in source:
        return _usable(fetch_json(source), source)
    try:
        return _usable(strict_json(read_protected(Path(source), _WRITABLE_BY_OTHERS)), source)
    except TooOpenError:
        raise NotFetched(
            f"{source}: others may write to this file, so they could add keys; run: chmod go-w"
        ) from None
    except (OSError, ValueError) as exc:
        raise NotFetched(f"{source}: not a readable JWKS ({type(exc).__name__})") from None


def check_place(issuer: str, source: str) -> None:
    """Raise UsageError unless this source of keys is allowed."""
    if not source:
        check_url(issuer)
    elif "://" in source:
        check_url(source)


def _discovered(issuer: str) -> str:
    """The JWKS address in the issuer's discovery document (OpenID Connect Discovery 1.0, section 4)."""
    url = issuer.rstrip("/") + _DISCOVERY
    document = fetch_json(url)
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise NotFetched(f"{url} is not the document of {issuer!r}: jwt_issuer has to be spelled as it spells it")
    jwks = document.get("jwks_uri")
    if not isinstance(jwks, str):
        raise NotFetched(f"{url} does not say where the keys are (jwks_uri)")
    try:
        check_url(jwks)
    except UsageError as exc:
        raise NotFetched(f"{url}: jwks_uri {exc}") from None
    return jwks


def _usable(content: Any, where: str) -> dict[str, PublicKey]:
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise NotFetched(f'{where}: no JWKS ({{"keys": […]}} of at most {_MOST_KEYS})')
    keys: dict[str, PublicKey] = {}
    for entry in entries:
        key = _public_key(entry) if isinstance(entry, dict) else None
        if key is not None:
            keys.setdefault(entry["kid"], key)
    if not keys:
        raise NotFetched(f"{where}: has no key with a kid for RS256, ES256 or EdDSA")
    return keys


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    """A usable key, or None: an issuer may have keys for other purposes."""
    if not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig" or "d" in entry:
        return None
    try:
        key, algorithms = _imported(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    said = entry.get("alg")
    if said is not None:
        algorithms = algorithms & _same(said)
    return PublicKey(key, algorithms) if key is not None and algorithms else None


def _imported(entry: dict[str, Any]) -> tuple[Any, frozenset[str]]:
    match entry.get("kty"), entry.get("crv"):
        case "RSA", None:
            rsa = RSAKey.import_key(entry)
            strong = rsa.public_key.key_size >= _LEAST_RSA_BITS
            return rsa, frozenset({"RS256"}) if strong else frozenset()
        case "EC", "P-256":
            return ECKey.import_key(entry), frozenset({"ES256"})
        case "OKP", "Ed25519":
            return OKPKey.import_key(entry), _EDWARDS
    return None, frozenset()


_EDWARDS = frozenset({"EdDSA", "Ed25519"})


def _same(algorithm: object) -> frozenset[str]:
    """All names of an algorithm."""
    return _EDWARDS if algorithm in _EDWARDS else frozenset({str(algorithm)})
