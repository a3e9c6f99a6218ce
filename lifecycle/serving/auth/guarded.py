"""Access by API key or token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.serving.access import Permission
from lifecycle.serving.auth.api_key import PREFIX
from lifecycle.serving.auth.caller import Caller, NotKnown
from lifecycle.serving.auth.failures import Failures
from lifecycle.serving.auth.known_keys import KnownKeys
from lifecycle.serving.message import Headers, Request
from lifecycle.serving.refusal import Refusal

if TYPE_CHECKING:
    from lifecycle.serving.auth.tokens import Tokens  # takes 0.1 s to import, and not every server has an issuer

_CHALLENGE = (b"www-authenticate", b'Bearer realm="lifecycle"')
_INVALID = (b"www-authenticate", b'Bearer realm="lifecycle", error="invalid_token"')
_INSUFFICIENT = (b"www-authenticate", b'Bearer realm="lifecycle", error="insufficient_scope"')
_BEARER = b"bearer "


class GuardedAccess:
    """Admits API keys and tokens, as far as their permissions go.

    Args:
        tokens: None when no issuer is configured.
        default: Deployment that answers when the path names no model.
    """

    def __init__(self, keys: KnownKeys, tokens: Tokens | None, default: str) -> None:
        self._keys = keys
        self._tokens = tokens
        self._default = default
        self._failures = Failures()

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Check the caller's API key or token. Raises Refusal."""
        if permission is Permission.NONE:
            return
        credential = _credential(request.headers)
        if credential is None:
            raise self._unknown(
                request.peer, "an API key or token is needed: Authorization: Bearer KEY", _CHALLENGE
            )
        try:
            caller = self._caller(credential)
        except NotKnown as exc:
            raise self._unknown(request.peer, str(exc), _INVALID) from None
        request.caller = caller.name
        if permission not in caller.may:
            raise Refusal(403, f"this needs the scope {permission}", headers=(_INSUFFICIENT,))
        if caller.deployments and (self._default if model is None else model) not in caller.deployments:
            raise Refusal(403, "this key is for another deployment", headers=(_INSUFFICIENT,))

    def close(self) -> None:
        """Release what it holds, as another access check takes over."""
        if self._tokens is not None:
            self._tokens.close()

    def _caller(self, credential: bytes) -> Caller:
        if self._tokens is None or credential.startswith(PREFIX):
            return self._keys.find(credential)
        return self._tokens.find(credential)

    def _unknown(self, peer: str, message: str, challenge: tuple[bytes, bytes]) -> Refusal:
        wait = self._failures.count(peer)
        if wait:
            return Refusal(429, "too many requests from this address had no valid key", retry_after=wait)
        return Refusal(401, message, headers=(challenge,))


def _credential(headers: Headers) -> bytes | None:
    """The first ``Authorization: Bearer``, else the first ``X-API-Key``. Other schemes are ignored."""
    key = None
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == _BEARER:
            return value[7:].strip()
        if name == b"x-api-key" and key is None:
            key = value
    return key
