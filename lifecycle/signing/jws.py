"""Signed texts: compact JWS (RFC 7515) with Ed25519 (RFC 8037, RFC 9864) and nothing else.

One algorithm, one header, one spelling: whatever else the standard allows is how such signatures get forged
(``alg: none``, a public key used as an HMAC secret, keys that the header itself brings, loose base64).
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from lifecycle.errors import NotTrusted, UsageError
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.trust import Permission, TrustedKey, TrustStore
from lifecycle.signing.unambiguous import unambiguous_json

_ALGORITHM = "Ed25519"
_MAX_CHARS = 100_000
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


def sign(key: SigningKey, permission: Permission, payload: str) -> str:
    """Sign a text as the thing that ``permission`` allows.

    Raises:
        UsageError: it is longer than what :func:`opened` reads, or no Unicode.
    """
    header = {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}
    try:
        text = jws.serialize_compact(header, payload.encode(), key.jwk, algorithms=[_ALGORITHM])
    except UnicodeEncodeError:
        raise UsageError("only text can be signed, and this is no Unicode") from None
    if len(text) > _MAX_CHARS:
        raise UsageError(f"a signed text of {len(text)} characters; {_MAX_CHARS} are allowed")
    return text


def opened(text: str, permission: Permission, trust: TrustStore) -> tuple[str, TrustedKey]:
    """The payload of a signed text, and whose key signed it.

    Raises:
        NotTrusted: it is no such text, or no key that may sign it has signed it.
        ConfigError: the file of trusted keys is broken.
    """
    header = _header(text)
    kid = header.get("kid")
    if not isinstance(kid, str) or not _THUMBPRINT.fullmatch(kid):
        raise NotTrusted("it does not name the key that signed it by a thumbprint")
    key = trust.find(kid)
    if key is None:
        raise NotTrusted(
            f"it is signed by a key that this registry does not know ({kid}). Have its operator run: "
            f"lifecycle keys trust, with the file that lifecycle keys init named to you"
        )
    if header != {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}:
        raise NotTrusted("it is not signed the way that this registry reads (Ed25519 and no other header)")
    if not key.permits(permission):
        why = "was revoked" if key.revoked_at else f"may not sign {permission}"
        raise NotTrusted(f"the key {key.name!r} that signed it {why}")
    return _verified(text, key), key


def payload_of(text: str) -> str:
    """The payload of a signed text, unverified: to look at.

    Raises:
        ValueError: it is no such text.
    """
    try:
        return _segments(text)[1].decode()
    except NotTrusted as exc:
        raise ValueError(str(exc)) from exc


def _verified(text: str, key: TrustedKey) -> str:
    try:
        signed = jws.deserialize_compact(text, _public_key(key.coordinate).jwk, algorithms=[_ALGORITHM])
    except (JoseError, ValueError) as exc:
        raise NotTrusted(f"its signature is not that of the key {key.name!r}: it was changed") from exc
    try:
        return (signed.payload or b"").decode()
    except UnicodeDecodeError as exc:
        raise NotTrusted(f"what the key {key.name!r} signed is no text") from exc


@lru_cache(maxsize=256)
def _public_key(coordinate: str) -> PublicKey:
    return PublicKey.from_coordinate(coordinate)


def _typ(permission: Permission) -> str:
    """Tells one kind of signed text from another, so that neither passes for the other (RFC 8725, 3.11)."""
    return f"lifecycle-{permission}+jws"


def _header(text: str) -> dict[str, Any]:
    try:
        header = unambiguous_json(_segments(text)[0])
    except ValueError as exc:
        raise _no_jws() from exc
    if not isinstance(header, dict):
        raise _no_jws()
    return header


def _segments(text: str) -> list[bytes]:
    """Header, payload and signature, decoded and unverified."""
    segments = text.split(".", 3) if len(text) <= _MAX_CHARS else []
    if len(segments) != 3:
        raise _no_jws()
    return [_decoded(segment) for segment in segments]


def _decoded(segment: str) -> bytes:
    """Python's decoder skips foreign characters and ignores spare bits; a signature has one spelling."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        spelled = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
    except ValueError as exc:
        raise _no_jws() from exc
    if spelled != segment:
        raise _no_jws()
    return raw


def _no_jws() -> NotTrusted:
    return NotTrusted("it is not a signed text (JWS)")
