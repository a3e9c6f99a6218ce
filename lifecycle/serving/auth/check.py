"""Check of a server's TLS, key and token settings before it starts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from lifecycle.errors import OptionError, Unavailable, UsageError
from lifecycle.serving.auth.api_keys import ApiKeys
from lifecycle.serving.auth.door import door_settings, is_open
from lifecycle.serving.auth.tls import check_certificate
from lifecycle.serving.settings import Settings


def check_door(settings: Settings, now: datetime, before: Settings | None = None) -> None:
    """Check that the settings admit callers, and only those that they are meant to admit.

    Args:
        before: Settings in use. Unchanged ones are not checked again: a new version may be deployed although
            the last key has expired or the issuer cannot be reached.

    Raises:
        OptionError: a setting cannot be used, or no caller could ever be admitted; says what to do.
        ConfigError: the file of API keys is broken.
        Unavailable: the issuer does not answer.
    """
    if before is None or (before.tls_cert, before.tls_key) != (settings.tls_cert, settings.tls_key):
        check_certificate(settings, now)
    if before is not None and door_settings(before) == door_settings(settings):
        return
    _check_issuer(settings)
    if is_open(settings) or settings.jwt_issuer:
        return
    file = Path(settings.api_keys)
    if not any(key.counts(now) for key in ApiKeys(file).all()):
        raise OptionError(
            f"on {settings.host} clients need an API key, and there is no valid one ({file}). Create one with "
            "lifecycle keys api create NAME, name a token issuer (-C jwt_issuer=…), or admit all clients: "
            "-C auth=none"
        )


def _check_issuer(settings: Settings) -> None:
    if not settings.jwt_issuer:
        if settings.jwt_audience or settings.jwt_keys:
            raise OptionError("jwt_audience and jwt_keys need the issuer of the tokens too: -C jwt_issuer=…")
        return
    if settings.auth == "none":
        raise OptionError("auth=none checks no tokens: leave out auth or jwt_issuer")
    if not settings.jwt_audience:
        raise OptionError(
            "jwt_issuer needs -C jwt_audience=… too: without it, a token for another service would do"
        )
    from lifecycle.serving.auth.fetch import NotFetched
    from lifecycle.serving.auth.jwks import check_place, read_jwks

    try:
        check_place(settings.jwt_issuer, settings.jwt_keys)
    except UsageError as exc:
        raise OptionError(f"{'jwt_keys' if settings.jwt_keys else 'jwt_issuer'}: {exc}") from None
    try:
        read_jwks(settings.jwt_issuer, settings.jwt_keys)
    except NotFetched as exc:
        raise Unavailable(f"the issuer's keys cannot be fetched: {exc}") from None
