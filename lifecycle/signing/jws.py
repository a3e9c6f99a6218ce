"""Signed texts: compact JWS (RFC 7515) with Ed25519 (RFC 8037, RFC 9864) and nothing else.

One algorithm, one header and one encoding are accepted. The standard's other options are known attacks:
``alg: none``, a public key used as an HMAC secret, keys inside the header, non-canonical base64.
"""

from __future__ import annotations

import base64
import re
from functools import lru_cache

from joserfc import jws
from joserfc.errors import JoseError

from lifecycle.errors import NotTrusted, UsageError
from lifecycle.signing.files import strict_json
from lifecycle.signing.keys import PublicKey, SigningKey
from lifecycle.signing.trust import Permission, TrustedKey, TrustStore

_ALGORITHM = "Ed25519"
_MAX_CHARS = 100_000
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


def sign(key: SigningKey, permission: Permission, payload: str) -> str:
    """Sign a text of the kind that ``permission`` names.

    Raises:
        UsageError: the signed text has over 100,000 characters, or the payload is not valid Unicode.
    """
    header = {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}
    try:
        text = jws.serialize_compact(header, payload.encode(), key.jwk, algorithms=[_ALGORITHM])
    except UnicodeEncodeError:
        raise UsageError("only Unicode text can be signed, and this text is not valid Unicode") from None
    if len(text) > _MAX_CHARS:
        raise UsageError(f"the signed text has {len(text)} characters; {_MAX_CHARS} are allowed")
    return text


def verify(text: str, permission: Permission, trust: TrustStore) -> tuple[str, TrustedKey]:
    """Check a signed text; returns its payload and the key that signed it.

    Raises:
        NotTrusted: it is not a JWS, or not signed by a trusted key with this permission.
        ConfigError: the file of trusted keys is broken.
    """
    try:
        header = strict_json(_segments(text)[0])
    except ValueError as exc:
        raise _no_jws() from exc
    if not isinstance(header, dict):
        raise _no_jws()
    kid = header.get("kid")
    if not isinstance(kid, str) or not _THUMBPRINT.fullmatch(kid):
        raise NotTrusted("its header does not name the signing key by its thumbprint")
    key = trust.find(kid)
    if key is None:
        raise NotTrusted(
            f"it is signed by a key that this registry does not know ({kid}). Its operator can trust the key: "
            f"lifecycle keys trust FILE, where FILE is the public half that lifecycle keys init wrote"
        )
    if header != {"alg": _ALGORITHM, "kid": key.kid, "typ": _typ(permission)}:
        raise NotTrusted("its header has to name Ed25519, the key and the kind of text, and nothing else")
    if not key.permits(permission):
        why = "was revoked" if key.revoked_at else f"may not sign {permission}"
        raise NotTrusted(f"the key {key.name!r} that signed it {why}")
    return _verified(text, key), key


def payload_of(text: str) -> str:
    """The payload of a signed text, without verifying it. Raises ValueError if it is not a JWS."""
    try:
        return _segments(text)[1].decode()
    except NotTrusted as exc:
        raise ValueError(str(exc)) from exc


def _verified(text: str, key: TrustedKey) -> str:
    try:
        signed = jws.deserialize_compact(text, _public_key(key.coordinate).jwk, algorithms=[_ALGORITHM])
    except (JoseError, ValueError) as exc:
        raise NotTrusted(
            f"its signature does not match the key {key.name!r}: it was changed after signing"
        ) from exc
    try:
        return (signed.payload or b"").decode()
    except UnicodeDecodeError as exc:
        raise NotTrusted(f"the payload that the key {key.name!r} signed is not UTF-8 text") from exc


@lru_cache(maxsize=256)
def _public_key(coordinate: str) -> PublicKey:
    return PublicKey.from_coordinate(coordinate)


def _typ(permission: Permission) -> str:
    """The ``typ`` header: keeps one kind of signed text from passing for another (RFC 8725, 3.11)."""
    return f"lifecycle-{permission}+jws"


def _segments(text: str) -> list[bytes]:
    """Header, payload and signature, decoded and unverified."""
    segments = text.split(".", 3) if len(text) <= _MAX_CHARS else []
    if len(segments) != 3:
        raise _no_jws()
    return [_decoded(segment) for segment in segments]


def _decoded(segment: str) -> bytes:
    """Decode canonical base64url only; Python's decoder would skip foreign characters and spare bits."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        spelled = base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
    except ValueError as exc:
        raise _no_jws() from exc
    if spelled != segment:
        raise _no_jws()
    return raw


def _no_jws() -> NotTrusted:
    return NotTrusted("it is not a signed text (compact JWS)")
