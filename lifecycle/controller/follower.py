"""The follower: one process per home that updates deployments when their stage or alias moves.

Followers of shared deployments agree by leases. A process renews its leases while its work goes on and releases
them at the end.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import uuid4

from lifecycle.domain.deployment import FOLLOWER_LEASE
from lifecycle.durable import exclusive
from lifecycle.errors import Conflict, LifecycleError, NotFound, Unavailable
from lifecycle.processes.process import ProcessId, is_alive, spawn_detached, stop, wait_until
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


_START_DEADLINE_S = 60.0


def ensure_follower(home: Path, config: Path | None, environment: Mapping[str, str]) -> None:
    """Start a follower unless one runs. It ends by itself when no deployment follows anything.

    Args:
        environment: Environment variables with the registry's address.

    Raises:
        Unavailable: it did not start.
    """
    if running_follower(home) is not None:
        return
    log = home / "follower.log"
    chosen = ["--config", str(config)] if config else []
    # -P keeps modules of the working directory from shadowing ours
    process = spawn_detached(
        [sys.executable, "-P", "-m", "lifecycle.cli", *chosen, "follow", "--until-idle"],
        log,
        {**environment, "LIFECYCLE_HOME": str(home)},
    )

    def settled() -> bool:
        return running_follower(home) is not None or not is_alive(process)

    wait_until(settled, _START_DEADLINE_S, "the follower has started")
    if running_follower(home) is None:
        raise Unavailable(f"the deployment answers, but nothing follows its stage: the follower ended; see {log}")


def running_follower(home: Path) -> ProcessId | None:
    """The running follower of this home, or None."""
    try:
        process = ProcessId(*json.loads(_lock(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if is_alive(process) else None


def stop_follower(home: Path) -> bool:
    """Stop the follower of this home; returns whether one was running."""
    process = running_follower(home)
    if process is not None:
        stop(process)
    return process is not None


@contextmanager
def being_the_follower(home: Path) -> Iterator[None]:
    """Hold the lock of this home's only follower; the kernel releases it if we die.

    Raises:
        Conflict: another one runs.
    """
    home.mkdir(parents=True, exist_ok=True)
    own = ProcessId.own()
    with exclusive(_lock(home), f"another follower runs for {home}") as descriptor:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps([own.pid, own.started]).encode())
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)  # from here on it is not the running follower


def _lock(home: Path) -> Path:
    return home / "follower.json"
