"""Deployments that have their own server, and deployments on another deployment's server."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from lifecycle.domain.deployment import DeploymentSpec, Status
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, OptionError, Unavailable
from lifecycle.processes.process import ProcessId, is_alive, spawn_detached, stop, wait_until
from lifecycle.serving import control
from lifecycle.serving.auth.api_keys import api_keys_file
from lifecycle.serving.auth.check import check_door
from lifecycle.serving.control import Desired, Observed, Phase
from lifecycle.serving.settings import Settings
from lifecycle.targets.contract import ModelFiles, TargetContext
from lifecycle.targets.records import DeploymentRecord, DeploymentRecords
from lifecycle.targets.rest.options import RestOptions

_MORE_S = 10.0  # more than the server gives its requests


class Servers:
    """Starts, changes and stops the servers of deployments."""

    def __init__(self, records: DeploymentRecords, models: ModelFiles, api_keys: Path) -> None:
        self._records = records
        self._models = models
        self._api_keys = api_keys

    def start(self, spec: DeploymentSpec, options: RestOptions, old: DeploymentRecord | None) -> None:
        """Start a server, or restart it with its guests.

        Raises:
            LifecycleError: it did not start; nothing runs, and the old record is kept.
        """
        check_door(options.settings([0], self._api_keys), datetime.now(UTC))
        self.stop(spec.name)
        folder = self._records.folder(spec.name)
        settings = options.settings(_ports(options, control.read_observed(folder)), self._api_keys)
        desired = desired_of(spec, self._models, 1, settings, options.timeout_s)
        control.forget_observed(folder)
        control.write_desired(folder, desired)
        # recorded first, so that the server can be found and undeployed even if this process dies
        self._records.save(DeploymentRecord(spec, Status.FAILED, detail="coming up"))
        # -P keeps modules of the working directory from shadowing ours
        command = [sys.executable, "-P", "-m", "lifecycle.serving.supervisor", str(folder)]
        server = spawn_detached(command, folder / control.LOG, {})
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
        """Make the running server switch to another version or other options.

        Raises:
            Conflict: the options have another address.
            LifecycleError: the new version did not start; the server answers as before.
        """
        folder = self._records.folder(spec.name)
        before = control.read_desired(folder)
        settings = options.settings(before.settings.ports, self._api_keys)
        _refuse_to_move(before, settings, options, observed.address)
        check_door(settings, datetime.now(UTC), before.settings)
        desired = desired_of(spec, self._models, before.generation + 1, settings, options.timeout_s)
        control.write_desired(folder, desired)
        try:
            await_outcome(folder, desired, observed.process)
        except BaseException:
            # keep the desired state equal to what answers, also for a restart of the server
            control.write_desired(folder, replace(before, generation=desired.generation + 1))
            raise

    def stop(self, name: str) -> None:
        """Drain and stop the server. Idempotent."""
        folder = self._records.path(name)
        observed = running(folder)
        if observed is None:
            return
        try:
            drain_s = control.read_desired(folder).settings.drain_s
        except FileNotFoundError:  # without a desired state it ends by itself
            drain_s = 0.0
        stop(observed.process, drain_s + _MORE_S)


def _ports(options: RestOptions, last: Observed | None) -> list[int]:
    """Ports to try: the requested one, else the last server's, else any free one."""
    if options.port:
        return [options.port]
    known = urlsplit(last.address).port if last is not None else None
    return [known, 0] if known else [0]


def _refuse_to_move(before: Desired, after: Settings, options: RestOptions, address: str) -> None:
    """Refuse a change of address, as the listener stays open."""
    kept = (before.settings.host, bool(before.settings.tls_cert)) == (after.host, bool(after.tls_cert))
    if not kept or options.port not in (0, urlsplit(address).port):
        raise Conflict(f"deployment {before.deployment!r} answers at {address}; undeploy it before moving it")


def running(folder: Path) -> Observed | None:
    """State reported by the running server process, or None when it has ended."""
    observed = control.read_observed(folder)
    return observed if observed is not None and is_alive(observed.process) else None


def await_outcome(folder: Path, desired: Desired, server: ProcessId) -> None:
    """Wait until the server has acted on ``desired``.

    Raises:
        Conflict, IntegrityError, DeploymentFailed: the server's error, or it ended, or took too long.
    """
    what = f"version {desired.version} of {desired.model}"

    def settled() -> bool:
        observed = control.read_observed(folder)
        return not is_alive(server) or (observed is not None and observed.generation >= desired.generation)

    try:
        wait_until(settled, desired.timeout_s, f"{what} answers")
    except Unavailable as exc:
        raise DeploymentFailed(str(exc)) from None
    observed = control.read_observed(folder)
    if observed is None or observed.generation < desired.generation:
        raise DeploymentFailed(f"the server ended while {what} was coming up: {_last_line(folder)}")
    if observed.phase is Phase.FAILED:
        error = {Conflict.code: Conflict, IntegrityError.code: IntegrityError}.get(observed.code, DeploymentFailed)
        raise error(f"{what} did not come up: {observed.error}")


def desired_of(
    spec: DeploymentSpec, models: ModelFiles, generation: int, settings: Settings, timeout_s: float
) -> Desired:
    """The desired state for the server. Raises NotFound when the version's files are not on this machine."""
    variant = spec.champion
    return Desired(
        generation=generation,
        deployment=spec.name,
        model=spec.ref.name,
        version=variant.version,
        digest=variant.digest,
        snapshot=str(models.snapshot(variant.source).path.absolute()),
        compiled=str(models.compiled(variant.source).absolute()) if variant.compiled else "",
        settings=settings,
        timeout_s=timeout_s,
    )


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / control.LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:  # the server of a co-hosted deployment has its log elsewhere
        return "it logged nothing"
    return next((line[:300] for line in reversed(lines) if line.strip()), "it logged nothing")


def lay_out(context: TargetContext, specs: Sequence[DeploymentSpec], ports: Sequence[int]) -> Path:
    """Write the desired state of a server without a recorded deployment.

    Args:
        specs: The first is the host, the others are its guests; the host's options apply.
        ports: Ports to try in turn.

    Returns:
        The host's folder, for ``lifecycle.serving.supervisor``; the caller deletes its parent in the end.

    Raises:
        LifecycleError: the options would open the server to others without keys.
    """
    options = RestOptions.parse(specs[0].options)
    settings = options.settings(ports, api_keys_file(context.home))
    check_door(settings, datetime.now(UTC))
    root = context.home / "served"
    root.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{specs[0].name}-", dir=root))
    folder = place / specs[0].name
    for spec in specs:
        (place / spec.name).mkdir()
        desired = desired_of(spec, context.models, 1, settings, options.timeout_s)
        control.write_desired(place / spec.name, desired)
    for spec in specs[1:]:
        control.add_guest(folder, spec.name)
    return folder


_OWN = {"server", "timeout_s"}
_DROP_S = 60.0


class CoHosted:
    """Starts and stops co-hosted deployments."""

    def __init__(self, records: DeploymentRecords, models: ModelFiles) -> None:
        self._records = records
        self._models = models

    def bring_up(self, spec: DeploymentSpec, options: RestOptions, old: DeploymentRecord | None) -> None:
        """Make the host's server serve the deployment.

        Args:
            old: The current deployment, or None.

        Raises:
            OptionError: an option that belongs to the host.
            NotFound, Conflict, Unavailable: the host cannot have guests.
            LifecycleError: it did not start; the old version still answers.
        """
        foreign = sorted(options.model_fields_set - _OWN)
        if foreign:
            raise OptionError(f"{foreign[0]!r} is for the server; update deployment {options.server!r} with it")
        server = self._server(spec.name, options.server)
        folder, host = self._records.folder(spec.name), self._records.path(options.server)
        before = control.read_desired(folder) if old is not None else None
        generation = 1 if before is None else before.generation + 1
        desired = desired_of(spec, self._models, generation, Settings(), options.timeout_s)
        if old is not None and before is not None and replace(before, generation=generation) == desired:
            return
        if before is None:
            control.forget_observed(folder)
        control.write_desired(folder, desired)
        control.add_guest(host, spec.name)
        try:
            await_outcome(folder, desired, server.process)
        except BaseException:
            if before is not None:
                control.write_desired(folder, replace(before, generation=generation + 1))
            else:
                self.take_down(spec.name, options.server)
                self._records.remove(spec.name)
            raise

    def take_down(self, name: str, host: str) -> None:
        """Make the host's server stop serving the deployment, and wait for that. Idempotent.

        Raises:
            Unavailable: the server still serves it.
        """
        folder = self._records.path(name)
        control.remove_guest(self._records.path(host), name)
        control.forget_desired(folder)

        def dropped() -> bool:
            observed = control.read_observed(folder)
            return observed is None or not is_alive(observed.process)

        wait_until(dropped, _DROP_S, f"the server of {host!r} has let go of {name!r}")

    def host_of(self, name: str) -> str | None:
        """The host of a co-hosted deployment, or None."""
        try:
            record = self._records.find(name)
        except IntegrityError:  # otherwise the host that lists it
            return next((host for host in self._records.names() if name in self.guests(host)), None)
        return record.spec.options.get("server") or None if record is not None else None

    def guests(self, host: str) -> list[str]:
        """Existing guests; a killed deployer may have left other names."""
        return [name for name in control.guests_of(self._records.path(host)) if self._records.path(name).is_dir()]

    def refuse_to_leave(self, name: str) -> None:
        """Raise Conflict if other deployments are on its server."""
        guests = self.guests(name)
        if guests:
            raise Conflict(f"the server of {name!r} answers for {', '.join(guests)} too; undeploy them first")

    def _server(self, name: str, host: str) -> Observed:
        """State of the host's server."""
        if name == host:
            raise OptionError("server= names another deployment; without it a deployment has a server of its own")
        record = self._records.load(host)
        if record.spec.options.get("server"):
            raise Conflict(f"{host!r} is itself on the server of {record.spec.options['server']!r}; name that one")
        self.refuse_to_leave(name)
        observed = running(self._records.path(host))
        if observed is None or not observed.version:
            raise Unavailable(f"the server of {host!r} is not running; deploy {host!r} again first")
        return observed
