"""An issuer's public keys (JWKS, RFC 7517), and where they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from lifecycle.errors import UsageError
from lifecycle.serving.auth.fetch import NotFetched, check_url, fetch_json
from lifecycle.signing.files import TooOpenError, read_protected
from lifecycle.signing.strict_json import strict_json

# Of a short key, which is left out below, nobody needs to hear.
warnings.filterwarnings("ignore", "Key size should be", SecurityWarning)

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA", "Ed25519"})
"""EdDSA is what RFC 8037 called the Ed25519 of RFC 9864; issuers still write it. Secrets that both sides know
(HS256) and ``none`` are how tokens get forged, and are nowhere here."""

_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048
_WRITABLE_BY_OTHERS = 0o022
_DISCOVERY = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One of them, and what it verifies."""

    key: RSAKey | ECKey | OKPKey
    algorithms: frozenset[str]


def read_jwks(issuer: str, source: str) -> dict[str, PublicKey]:
    """An issuer's keys by ``kid``.

    Args:
        source: Path or URL of its JWKS; empty to ask its discovery document.

    Raises:
        NotFetched: there are none to be had now.
        UsageError: there is no place that may be asked.
    """
    if not source:
        return _usable(fetch_json(_discovered(issuer)), f"the JWKS of {issuer}")
    if "://" in source:
        return _usable(fetch_json(source), source)
    try:
        return _usable(strict_json(read_protected(Path(source), _WRITABLE_BY_OTHERS)), source)
    except TooOpenError:
        raise NotFetched(f"{source}: others may write to this file, and so make tokens of their own") from None
    except (OSError, ValueError) as exc:
        raise NotFetched(f"{source}: no JWKS can be read there ({type(exc).__name__})") from None


def check_place(issuer: str, source: str) -> None:
    """Raises UsageError unless the issuer's keys may be had from there."""
    if not source:
        check_url(issuer)
    elif "://" in source:
        check_url(source)


def _discovered(issuer: str) -> str:
    """Where the issuer says that its keys are (OpenID Connect Discovery 1.0, section 4)."""
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
    """None for keys that are no use here: an issuer may have others beside."""
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
    """An algorithm under all of its names."""
    return _EDWARDS if algorithm in _EDWARDS else frozenset({str(algorithm)})
