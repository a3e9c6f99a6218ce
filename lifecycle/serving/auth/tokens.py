"""Tokens of an OpenID Connect issuer: signed JWTs (RFC 7519), checked as strictly as RFC 8725 advises."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable
from hashlib import sha256
from time import time
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning

from lifecycle.serving.auth.caller import Caller, NotKnown
from lifecycle.serving.auth.claims import caller_of
from lifecycle.serving.auth.issuer import IssuerKeys
from lifecycle.serving.auth.jwks import ALGORITHMS, PublicKey
from lifecycle.signing.files import strict_json

# the name that issuers write for Ed25519
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)

LONGEST = 8192
_CACHED = 1024
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}


class Tokens:
    """Checks tokens. A signature is verified once; after that the token is known by its SHA-256.

    Args:
        issuer, audience: Exact values that the token has to have.
    """

    def __init__(self, issuer: str, audience: str, keys: IssuerKeys, clock: Callable[[], float] = time) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._known: dict[bytes, Caller] = {}
        self._generation = keys.generation

    def find(self, token: bytes) -> Caller:
        """The caller that a token names.

        Raises:
            NotKnown: it is not the issuer's, not for this server, or not valid now.
            Refusal: 503 while the issuer's keys are being fetched.
        """
        if len(token) > LONGEST:
            raise NotKnown(f"a token of more than {LONGEST} characters is not accepted")
        if self._keys.generation != self._generation:  # tokens of a withdrawn key are no longer accepted
            self._known.clear()
            self._generation = self._keys.generation
        digest = sha256(token).digest()
        caller = self._known.get(digest)
        if caller is None or self._clock() >= caller.until:
            caller = self._verified(token)
            self._remember(digest, caller)
        return caller

    def close(self) -> None:
        """Stop fetching keys."""
        self._keys.close()

    def _verified(self, token: bytes) -> Caller:
        segments = token.split(b".", 3)
        if len(segments) != 3:
            raise NotKnown("this is neither an API key nor a token")
        header = _json(_decoded(segments[0]))
        _decoded(segments[2])  # canonical base64url only
        key = self._key(header)
        try:
            signed = jws.deserialize_compact(token, key.key, registry=_REGISTRIES[header["alg"]])
        except (JoseError, ValueError, TypeError):
            raise NotKnown("this token's signature is not valid") from None
        return caller_of(_json(signed.payload or b""), self._issuer, self._audience, self._clock())

    def _key(self, header: dict[str, Any]) -> PublicKey:
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "jwt")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise NotKnown("this token is not signed with RS256, ES256 or EdDSA")
        if "crit" in header or not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise NotKnown("this token is of a kind that is not accepted")
        key = self._keys.find(kid) if isinstance(kid, str) else None
        if key is None or algorithm not in key.algorithms:
            raise NotKnown("this token is signed by no key that the issuer has (kid)")
        return key

    def _remember(self, digest: bytes, caller: Caller) -> None:
        if len(self._known) >= _CACHED:
            del self._known[next(iter(self._known))]
        self._known[digest] = caller


_REGISTRIES = {
    algorithm: jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False) for algorithm in ALGORITHMS
}
for _registry in _REGISTRIES.values():
    # the token is bounded as a whole; the library's bound of 512 is too low for some issuers' headers
    _registry.max_header_length = LONGEST


def _json(content: bytes) -> dict[str, Any]:
    try:
        fields = strict_json(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise NotKnown("this is neither an API key nor a token")
    return fields


def _decoded(segment: bytes) -> bytes:
    """Decode canonical base64url; Python's decoder would skip foreign characters and spare bits."""
    try:
        raw = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except ValueError:
        raw = b""
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment:
        raise NotKnown("this is neither an API key nor a token")
    return raw
