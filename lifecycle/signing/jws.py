"""Signed texts: compact JWS (RFC 7515) with Ed25519 (RFC 8037, RFC 9864) and nothing else.

One algorithm, one header, one spelling: whatever else the standard allows is how such signatures get forged
(``alg: none``, a public key used as an HMAC secret, keys that the header itself brings, loose base64).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from lifecycle.errors import NotTrusted
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.trust import Permission, TrustedKey, TrustStore

_ALGORITHM = "Ed25519"
_MAX_CHARS = 100_000


def sign(key: SigningKey, permission: Permission, payload: str) -> str:
    """Sign a text as the thing that ``permission`` allows."""
    header = {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}
    return jws.serialize_compact(header, payload, key.jwk, algorithms=[_ALGORITHM])


def opened(text: str, permission: Permission, trust: TrustStore) -> tuple[str, TrustedKey]:
    """The payload of a signed text, and whose key signed it.

    Raises:
        NotTrusted: it is no such text, or no key that may sign it has signed it.
        ConfigError: the file of trusted keys is broken.
    """
    header = _header(text)
    key = trust.find(str(header.get("kid")))
    if key is None:
        raise NotTrusted(
            f"it is signed by a key that this registry does not know ({str(header.get('kid'))[:43]!r}). Have its "
            f"operator run: lifecycle keys trust, with the file that lifecycle keys init named to you"
        )
    if header != {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}:
        raise NotTrusted("it is not signed the way that this registry reads (Ed25519 and no other header)")
    if not key.permits(permission):
        why = "was revoked" if key.revoked_at else f"may not sign {permission}"
        raise NotTrusted(f"the key {key.name!r} that signed it {why}")
    try:
        verified = jws.deserialize_compact(
            text, PublicKey.from_coordinate(key.coordinate).jwk, algorithms=[_ALGORITHM]
        )
        return (verified.payload or b"").decode(), key
    except (JoseError, ValueError) as exc:
        raise NotTrusted(f"its signature is not that of the key {key.name!r}: it was changed") from exc


def payload_of(text: str) -> str:
    """The payload of a signed text, unverified: to look at.

    Raises:
        ValueError: it is no such text.
    """
    try:
        return _decoded(_segments(text)[1]).decode()
    except NotTrusted as exc:
        raise ValueError(str(exc)) from exc


def _typ(permission: Permission) -> str:
    """Tells one kind of signed text from another, so that neither passes for the other (RFC 8725, 3.11)."""
    return f"lifecycle-{permission}+jws"


def _header(text: str) -> dict[str, Any]:
    try:
        header = json.loads(_decoded(_segments(text)[0]))
    except (ValueError, RecursionError) as exc:
        raise NotTrusted("it is not a signed text (JWS)") from exc
    if not isinstance(header, dict):
        raise NotTrusted("it is not a signed text (JWS)")
    return header


def _segments(text: str) -> list[str]:
    segments = text.split(".") if len(text) <= _MAX_CHARS else []
    if len(segments) != 3:
        raise NotTrusted("it is not a signed text (JWS)")
    for segment in segments:
        _decoded(segment)
    return segments


def _decoded(segment: str) -> bytes:
    """Python's decoder skips foreign characters and ignores spare bits; a signature has one spelling."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
            raise NotTrusted("it is not a signed text (JWS)")
    except (ValueError, binascii.Error) as exc:
        raise NotTrusted("it is not a signed text (JWS)") from exc
    return raw
