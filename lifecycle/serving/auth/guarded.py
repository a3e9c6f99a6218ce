"""The door of a server that wants to know who asks."""

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
    from lifecycle.serving.auth.tokens import Tokens  # 0.1 s to import, and not every server has an issuer

_CHALLENGE = (b"www-authenticate", b'Bearer realm="lifecycle"')
_INVALID = (b"www-authenticate", b'Bearer realm="lifecycle", error="invalid_token"')
_INSUFFICIENT = (b"www-authenticate", b'Bearer realm="lifecycle", error="insufficient_scope"')
_BEARER = b"bearer "


class GuardedAccess:
    """Lets API keys and tokens in, as far as they may.

    Args:
        tokens: None where no issuer is named.
        default: The deployment that answers where the path names no model.
    """

    def __init__(self, keys: KnownKeys, tokens: Tokens | None, default: str) -> None:
        self._keys = keys
        self._tokens = tokens
        self._default = default
        self._failures = Failures()

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """See :class:`lifecycle.serving.access.Access`."""
        if permission is Permission.NONE:
            return
        credential = _credential(request.headers)
        if credential is None:
            raise self._unknown(request.peer, "a key is needed: Authorization: Bearer KEY", _CHALLENGE)
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
        """Another door takes over."""
        if self._tokens is not None:
            self._tokens.close()

    def _caller(self, credential: bytes) -> Caller:
        if self._tokens is None or credential.startswith(PREFIX):
            return self._keys.find(credential)
        return self._tokens.find(credential)

    def _unknown(self, peer: str, message: str, challenge: tuple[bytes, bytes]) -> Refusal:
        wait = self._failures.count(peer)
        if wait:
            return Refusal(429, "too many requests from there had no key that counts", retry_after=wait)
        return Refusal(401, message, headers=(challenge,))


def _credential(headers: Headers) -> bytes | None:
    """``Authorization: Bearer``, else ``X-API-Key``; the first of its name. Other schemes are none of ours."""
    key = None
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == _BEARER:
            return value[7:].strip()
        if name == b"x-api-key" and key is None:
            key = value
    return key
