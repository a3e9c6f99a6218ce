"""Deployments on another deployment's server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lifecycle.domain.deployment import DeploymentSpec
from lifecycle.errors import Conflict, IntegrityError, OptionError, Unavailable
from lifecycle.processes.process import is_alive, wait_until
from lifecycle.serving import control
from lifecycle.serving.control import Observed
from lifecycle.serving.settings import Settings
from lifecycle.targets.contract import ModelFiles
from lifecycle.targets.records import DeploymentRecord, DeploymentRecords
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.rest.servers import await_outcome, desired_of, running

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
            return next((host for host in self._records.names() if name in self._guests_of(host)), None)
        return record.spec.options.get("server") or None if record is not None else None

    def refuse_to_leave(self, name: str) -> None:
        """Raise Conflict if other deployments are on its server."""
        guests = self._guests_of(name)
        if guests:
            raise Conflict(f"the server of {name!r} answers for {', '.join(guests)} too; undeploy them first")

    def _guests_of(self, host: str) -> list[str]:
        """Existing guests; a killed deployer may have left other names."""
        folder: Path = self._records.path(host)
        return [name for name in control.guests_of(folder) if self._records.path(name).is_dir()]

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
