"""Chooses the access check by the settings, again whenever they change."""

from __future__ import annotations

from pathlib import Path

from lifecycle.serving.access import Access, OpenAccess, Permission
from lifecycle.serving.auth.guarded import GuardedAccess
from lifecycle.serving.auth.known_keys import KnownKeys
from lifecycle.serving.auth.local import LocalAccess
from lifecycle.serving.auth.loopback import is_loopback
from lifecycle.serving.message import Request
from lifecycle.serving.settings import Settings
from lifecycle.serving.state import State


def is_open(settings: Settings) -> bool:
    """Whether all callers may do everything.

    With an issuer, ``auto`` demands tokens on a loopback address too, as a proxy may stand before it.
    """
    if settings.auth == "auto":
        return is_loopback(settings.host) and not settings.jwt_issuer
    return settings.auth == "none"


def door_settings(settings: Settings) -> tuple[str, ...]:
    """All settings that the access check depends on."""
    return (
        settings.host,
        settings.auth,
        settings.api_keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_keys,
    )


class Door:
    """Applies the current settings."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._settings = state.settings
        self._access: Access = self._made()

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Check the caller by the current settings. Raises Refusal."""
        if self._state.settings is not self._settings:
            self._follow()
        self._access.demand(request, permission, model)

    def _follow(self) -> None:
        before, self._settings = self._settings, self._state.settings
        if door_settings(before) == door_settings(self._settings):
            return  # callers known before stay known
        if isinstance(self._access, GuardedAccess):
            self._access.close()
        self._access = self._made()

    def _made(self) -> Access:
        settings = self._settings
        if is_open(settings):
            return OpenAccess() if settings.auth == "none" else LocalAccess()
        keys, tokens = KnownKeys(Path(settings.api_keys)), None
        if settings.jwt_issuer:
            # imported here, so that a server without an issuer does not pay for the libraries
            from lifecycle.serving.auth.issuer import IssuerKeys
            from lifecycle.serving.auth.jwks import read_jwks
            from lifecycle.serving.auth.tokens import Tokens

            issuer, source = settings.jwt_issuer, settings.jwt_keys
            tokens = Tokens(issuer, settings.jwt_audience, IssuerKeys(lambda: read_jwks(issuer, source)))
        return GuardedAccess(keys, tokens, self._state.releases.default)
