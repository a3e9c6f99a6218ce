"""A connection to a server of ours."""

from __future__ import annotations

import http.client
import ssl
from hmac import compare_digest
from urllib.parse import urlsplit

from lifecycle.errors import OptionError, Unavailable
from lifecycle.serving.auth.tls import leaf_of

_TIMEOUT_S = 60.0


def connect(address: str, certificate: str = "") -> http.client.HTTPConnection:
    """Connect to ``address``.

    Args:
        certificate: Path of the server's own, for https. It is compared as a whole: it may be for another name
            than the address that the server has on this machine, and signed by nobody that is known here.

    Raises:
        Unavailable: nobody answers, or somebody with another certificate.
    """
    server = urlsplit(address)
    host, port = server.hostname or "", server.port
    if server.scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # we look for ourselves, below
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    try:
        connection.connect()
        _demand(connection, certificate)
    except (OSError, Unavailable, OptionError) as exc:
        connection.close()
        why = str(exc) if not isinstance(exc, OSError) else type(exc).__name__
        raise Unavailable(f"{address} does not answer ({why})") from exc
    return connection


def _demand(connection: http.client.HTTPSConnection, certificate: str) -> None:
    shown = connection.sock.getpeercert(binary_form=True) or b""
    if not compare_digest(shown, leaf_of(certificate)):
        raise Unavailable("it shows another certificate than its own")
