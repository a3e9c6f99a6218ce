"""Access on a loopback address: open, except to web pages that a browser on this machine has loaded."""

from __future__ import annotations

import ipaddress

from lifecycle.serving.access import Permission
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal

_REMEMBERED = 64


class LocalAccess:
    """All callers may do everything, but not under a foreign host name.

    A page of evil.example may point that name at 127.0.0.1 (DNS rebinding, as in CVE-2025-14279). To the browser
    its requests are then same-origin. Their ``Host`` header shows it: it is neither an address nor a name of this
    network.
    """

    def __init__(self) -> None:
        self._ours: set[bytes] = set()

    def demand(self, request: Request, permission: Permission, model: str | None = None) -> None:
        """Refuse a foreign ``Host`` or ``Origin``. Raises Refusal."""
        if permission is Permission.NONE:
            return
        for name, value in request.headers:
            if name == b"host":
                if value not in self._ours:
                    self._check(value)
                return

    def _check(self, value: bytes) -> None:
        if not is_ours(value.decode("latin-1")):
            raise Refusal(
                403,
                "this server is only for its own machine, and this request names another host; behind a proxy, "
                "deploy with -C auth=none, or with auth=required and keys",
            )
        if len(self._ours) < _REMEMBERED:
            self._ours.add(value)


def is_ours(host: str) -> bool:
    """Whether a ``Host`` header can come from a client on this machine: an address, or a name without domain."""
    bracketed = host.startswith("[")
    name = host[1:].partition("]")[0] if bracketed else host.partition(":")[0]
    name = name.lower().rstrip(".")
    if (not bracketed and "." not in name) or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
