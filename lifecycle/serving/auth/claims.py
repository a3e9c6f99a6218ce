"""The claims of a verified token (RFC 7519, 4.1; RFC 9068)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.serving.access import Permission
from lifecycle.serving.auth.caller import MAY, Caller, NotKnown

LEEWAY_S = 60.0
"""Seconds by which two machines' clocks may differ."""

_LONGEST_NAME = 200
_LAST = 2.0**53
_SCOPES = {f"{prefix}{scope}": may for scope, may in MAY.items() for prefix in ("", "lifecycle:")}


def caller_of(claims: Mapping[str, Any], issuer: str, audience: str, now: float) -> Caller:
    """The caller that a verified token names, and its permissions.

    Args:
        now: Seconds since 1970.

    Raises:
        NotKnown: the token is not for this server, or not valid now.
    """
    if claims.get("iss") != issuer:
        raise NotKnown("this token has another issuer")
    if audience not in _words(claims.get("aud"), split=False):
        raise NotKnown("this token is for another audience")
    until = _moment(claims, "exp") + LEEWAY_S
    if not now < until:
        raise NotKnown("this token has expired")
    if "nbf" in claims and not _moment(claims, "nbf") <= now + LEEWAY_S:
        raise NotKnown("this token is not valid yet")
    said = [word for name in ("scope", "scp", "roles") for word in _words(claims.get(name), split=True)]
    may: set[Permission] = set().union(*(_SCOPES.get(word, frozenset()) for word in said))
    return Caller(_subject(claims), frozenset(may), until=until)


def _moment(claims: Mapping[str, Any], name: str) -> float:
    """A finite number of seconds since 1970; NaN would pass every comparison."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _LAST:
        raise NotKnown(f"this token has no {name} that is a time")
    return value


def _words(value: Any, *, split: bool) -> list[str]:
    """A claim that is a text or a list of texts."""
    if isinstance(value, str):
        return value.split() if split else [value]
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _subject(claims: Mapping[str, Any]) -> str:
    """The subject as one short line, since it appears in logs."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_NAME or not subject.isprintable():
        raise NotKnown("this token names no subject (sub)")
    return subject
