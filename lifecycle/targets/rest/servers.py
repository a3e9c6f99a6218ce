"""Deployments with a server of their own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from lifecycle.domain.deployment import DeploymentSpec, Status
from lifecycle.errors import Conflict
from lifecycle.processes.spawn import spawn_detached, stop
from lifecycle.serving import control
from lifecycle.serving.auth.check import check_door
from lifecycle.serving.control import Desired, Observed
from lifecycle.serving.settings import Settings
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.rest.outcome import await_outcome, desired_of, running
from lifecycle.targets.state import DeploymentRecord, DeploymentRecords

_MORE_S = 10.0  # than the server itself gives its requests


class Servers:
    """Starts, changes and stops them."""

    def __init__(self, records: DeploymentRecords, api_keys: Path) -> None:
        self._records = records
        self._api_keys = api_keys

    def start(self, spec: DeploymentSpec, options: RestOptions, old: DeploymentRecord | None) -> None:
        """Start a server, anew if there was one; its guests come along.

        Raises:
            LifecycleError: it did not come up; nothing runs, and what was known before is still known.
        """
        check_door(options.settings([0], self._api_keys), datetime.now(UTC))
        self.stop(spec.name)
        folder = self._records.folder(spec.name)
        settings = options.settings(_ports(options, control.read_observed(folder)), self._api_keys)
        desired = desired_of(spec, 1, settings, options.timeout_s)
        control.forget_observed(folder)
        control.write_desired(folder, desired)
        # On record from here on, so that whatever happens to us, the server can be found and undeployed.
        self._records.save(DeploymentRecord(spec, Status.FAILED, detail="coming up"))
        server = spawn_detached(_command(str(folder)), folder / control.LOG, {})
        try:
            await_outcome(folder, desired, server)
        except BaseException:
            stop(server, options.drain_s + _MORE_S)
            if old is not None and old.status is Status.READY:
                control.forget_observed(folder)
                self._records.save(old)
            else:
                self._records.remove(spec.name)
            raise

    def replace(self, spec: DeploymentSpec, options: RestOptions, observed: Observed) -> None:
        """Have the running server change over.

        Raises:
            Conflict: the options ask for another address.
            LifecycleError: it did not come up; the server answers as before.
        """
        folder = self._records.folder(spec.name)
        before = control.read_desired(folder)
        settings = options.settings(before.settings.ports, self._api_keys)
        _refuse_to_move(before, settings, options, observed.address)
        check_door(settings, datetime.now(UTC), before.settings)
        desired = desired_of(spec, before.generation + 1, settings, options.timeout_s)
        control.write_desired(folder, desired)
        try:
            await_outcome(folder, desired, observed.process)
        except BaseException:
            # What answers is what should: also when the server is started anew.
            control.write_desired(folder, replace(before, generation=desired.generation + 1))
            raise

    def stop(self, name: str) -> None:
        """Drain it. Idempotent."""
        folder = self._records.path(name)
        observed = running(folder)
        if observed is None:
            return
        try:
            drain_s = control.read_desired(folder).settings.drain_s
        except FileNotFoundError:  # then it ends by itself
            drain_s = 0.0
        stop(observed.process, drain_s + _MORE_S)


def _ports(options: RestOptions, last: Observed | None) -> list[int]:
    """The one that was asked for; else the one that clients know from a server that died, or any free one."""
    if options.port:
        return [options.port]
    known = urlsplit(last.address).port if last is not None else None
    return [known, 0] if known else [0]


def _command(folder: str) -> Sequence[str]:
    # -P: nothing in whatever folder we were called from shadows a module of ours.
    return [sys.executable, "-P", "-m", "lifecycle.serving.supervisor", folder]


def _refuse_to_move(before: Desired, after: Settings, options: RestOptions, address: str) -> None:
    """The listener is there once and for all."""
    kept = (before.settings.host, bool(before.settings.tls_cert)) == (after.host, bool(after.tls_cert))
    if not kept or options.port not in (0, urlsplit(address).port):
        raise Conflict(f"deployment {before.deployment!r} answers at {address}; undeploy it before moving it")
