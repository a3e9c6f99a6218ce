"""Leases of this process, renewed while the work goes on and released at the end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self
from uuid import uuid4

from lifecycle.domain.follower_lease import FOLLOWER_LEASE
from lifecycle.errors import Conflict, LifecycleError, NotFound
from lifecycle.registry.contract import FollowerLeases

_LOG = logging.getLogger(__name__)
_RENEW_S = FOLLOWER_LEASE.total_seconds() / 3
_JOIN_S = 5.0


class LeaseLost(Exception):
    """Another process has the lease, or its purpose has ended."""


class LeaseHeartbeat:
    """Renews a lease every few seconds in a thread, while a block of code runs.

    Args:
        renew: Renews it; raises Conflict or NotFound when it is lost.
        every_s: Seconds between two renewals.
    """

    def __init__(self, renew: Callable[[], None], every_s: float) -> None:
        self._renew = renew
        self._every_s = every_s
        self._over = threading.Event()
        self._lost = ""
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_JOIN_S)  # a late renewal must not undo the next report

    def check(self) -> None:
        """Raise LeaseLost if the lease is lost."""
        if self._lost:
            raise LeaseLost(self._lost)

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._renew()
            except (Conflict, NotFound) as exc:
                self._lost = str(exc)
                return
            except Exception as exc:  # the registry may answer again before the lease ends
                _LOG.warning("the lease is not renewed: %s", exc)


def follower_name() -> str:
    """Name of this process among followers: host, process id and a random part."""
    host = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in socket.gethostname())
    return f"{host[:60]}:{os.getpid()}:{uuid4().hex[:8]}"


@dataclass
class ScopeLeases:
    """Leases that decide which of several followers of the same deployments works.

    Attributes:
        holder: Name, as from :func:`follower_name`.
        clock: Seconds, monotonic.
    """

    registry: FollowerLeases
    holder: str
    clock: Callable[[], float]
    _renewed_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def hold(self, model: str, scope: str) -> None:
        """Take or keep the lease of a model's deployments in a scope. Asks the registry every ten seconds.

        Raises:
            Conflict: another follower has it.
        """
        last = self._renewed_s.get((model, scope))
        if last is None or self.clock() - last >= _RENEW_S:
            self._renewed_s.pop((model, scope), None)
            now = self.clock()
            self.registry.hold_lease(model, scope, self.holder)
            self._renewed_s[model, scope] = now

    def heartbeat(self, model: str, scope: str) -> LeaseHeartbeat:
        """Renew a held lease while a deployment takes long."""
        return LeaseHeartbeat(lambda: self.registry.hold_lease(model, scope, self.holder), _RENEW_S)

    def release(self) -> None:
        """Release all leases if the registry answers; else they end by themselves."""
        for model, scope in self._renewed_s:
            try:
                self.registry.release_lease(model, scope, self.holder)
            except LifecycleError as exc:
                _LOG.debug("not given back: %s", exc)
        self._renewed_s.clear()
