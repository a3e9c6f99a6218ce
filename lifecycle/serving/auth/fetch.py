"""Fetches JSON from an issuer: over TLS unless it is on this machine, bounded in bytes and time, no redirects."""

from __future__ import annotations

from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from lifecycle.errors import UsageError
from lifecycle.serving.auth.loopback import is_loopback
from lifecycle.signing.files import strict_json

_MOST_BYTES = 512 * 1024
_PIECE = 64 * 1024
_WAIT_S = 5.0
_LONGEST_S = 15.0


class NotFetched(Exception):
    """The document could not be fetched. The message is one line."""


def fetch_json(url: str) -> Any:
    """The JSON document at a URL. A redirect is an error, so the document comes from the issuer itself.

    Raises:
        NotFetched: it does not answer, or not with JSON.
        UsageError: the URL is not allowed.
    """
    check_url(url)
    try:
        return strict_json(_content(url))
    except ValueError as exc:
        raise NotFetched(f"{url} does not answer JSON: {exc}") from None
    except (OSError, HTTPException) as exc:
        raise NotFetched(f"{url} does not answer ({getattr(exc, 'reason', None) or type(exc).__name__})") from None


def _content(url: str) -> bytes:
    deadline = monotonic() + _LONGEST_S
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310  its scheme was looked at
    content = b""
    with _opener().open(request, timeout=_WAIT_S) as response:
        if response.status != 200:
            raise NotFetched(f"{url} answered {response.status}")
        while piece := response.read1(_PIECE):
            content += piece
            if len(content) > _MOST_BYTES:
                raise NotFetched(f"{url} answers more than {_MOST_BYTES // 1024} KiB")
            if monotonic() > deadline:
                raise NotFetched(f"{url} takes longer than {_LONGEST_S:g} s")
    return content


def check_url(url: str) -> None:
    """Raise UsageError unless the URL is https, or http on this machine."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password or parts.fragment:
        raise UsageError(f"{url[:200]!r} is no plain URL")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise UsageError(
            f"{url[:200]!r} has to begin with https://, or others on the network could send false keys"
        )


def _opener() -> OpenerDirector:
    """Python's opener without files, FTP and redirects."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener
