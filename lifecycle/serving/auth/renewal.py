"""Reloads a certificate that was renewed in its file while the server runs."""

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
    """Watch a certificate's files and load changes. Existing connections keep their certificate.

    Args:
        context: TLS context of new connections; None for plain HTTP.
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
            # one of the two files is written first, and a pair that does not match must not be loaded
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
            context.load_cert_chain(cert, key, password="")
        except (OSError, ssl.SSLError) as exc:
            _LOG.error("%s has changed but cannot be used; the old one stays (%s)", cert, type(exc).__name__)
        else:
            _LOG.info("%s has changed and is used from now on", cert)


def _stamp(*paths: str) -> object:
    try:
        return [(status.st_mtime_ns, status.st_ino) for status in map(Path.stat, map(Path, paths))]
    except OSError:
        return None
