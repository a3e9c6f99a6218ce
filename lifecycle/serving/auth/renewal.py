"""Certificates last for weeks and servers for longer: one that is renewed in its place is shown from then on."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.serving.settings import Settings

_LOG = logging.getLogger(__name__)
_LOOK_S = 2.0


@contextmanager
def renewed_in_place(context: ssl.SSLContext | None, settings: Settings) -> Iterator[None]:
    """Look after a server's certificate while it runs; connections that are there already keep theirs.

    Args:
        context: What new connections are encrypted with; None for plain HTTP.
    """
    if context is None:
        yield
        return
    looking = asyncio.create_task(_look(context, settings.tls_cert, settings.tls_key))
    try:
        yield
    finally:
        looking.cancel()


async def _look(context: ssl.SSLContext, cert: str, key: str) -> None:
    seen = _stamp(cert, key)
    while True:
        await asyncio.sleep(_LOOK_S)
        stamp = _stamp(cert, key)
        if stamp == seen:
            continue
        seen = stamp
        try:
            # Of two files, one is written first: a pair that is not one must not be shown.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
            context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError) as exc:
            _LOG.error("%s has changed and cannot be used; the one before stays (%s)", cert, type(exc).__name__)
        else:
            _LOG.info("%s has changed and is shown from now on", cert)


def _stamp(*paths: str) -> object:
    try:
        return [(status.st_mtime_ns, status.st_ino) for status in map(Path.stat, map(Path, paths))]
    except OSError:
        return None
