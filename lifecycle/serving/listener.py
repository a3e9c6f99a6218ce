"""The socket on which a server listens."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence

BACKLOG = 2048
_TRIES_S = 1.0
"""Seconds that a port may still be held by a server that is ending."""
_POLL_S = 0.05


def listen(host: str, ports: Sequence[int]) -> socket.socket:
    """Listen on the first port that is available.

    Raises:
        OSError: no port is available.
    """
    for port in ports[:-1]:
        try:
            return _patiently(host, port)
        except OSError:
            continue
    return _patiently(host, ports[-1])


def address_of(host: str, listener: socket.socket, *, tls: bool) -> str:
    """A URL that works on this machine, also when the server listens on every interface."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    scheme, port = "https" if tls else "http", listener.getsockname()[1]
    return f"{scheme}://[{reachable}]:{port}" if ":" in reachable else f"{scheme}://{reachable}:{port}"


def _patiently(host: str, port: int) -> socket.socket:
    deadline = time.monotonic() + _TRIES_S
    while True:
        try:
            return _listen(host, port)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Binding alone would not do: two sockets may be bound to a port until one listens."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # a successor may take the port at once, while old connections linger
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
