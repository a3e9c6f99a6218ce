"""Brings deployments up as detached server processes, and asks them over HTTP."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, Unavailable
from lifecycle.processes.identity import ProcessId, is_alive
from lifecycle.processes.spawn import spawn_detached, stop, wait_until
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.serving import control
from lifecycle.serving.control import Desired, Observed, Phase
from lifecycle.targets.rest.client import ask
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.state import DeploymentRecord, DeploymentRecords

_STOP_S = 30.0  # more than the server takes to drain


class RestTarget:
    """MLflow's scoring protocol over HTTP.

    Args:
        home: The folder for state; each deployment's files and its server's log are in ``home/rest/<name>/``.
    """

    name = "rest"
    follows = True
    Options = RestOptions
    help = (
        "rest: answers MLflow's scoring protocol (POST /invocations) over HTTP, in a server process of its own\n"
        "that outlives the command and swaps versions without missing a request. Options:\n"
        + RestOptions.describe()
    )

    def __init__(self, home: Path) -> None:
        self._records = DeploymentRecords(home, self.name)

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Start a server, or have the running one load the version and switch to it.

        Raises:
            OptionError: an option is unknown or malformed.
            Conflict: the port is taken, or somebody else is changing this deployment.
            IntegrityError: the snapshot's files are not those of its digest.
            DeploymentFailed: it did not come up.
        """
        options = RestOptions.parse(spec.options)
        with self._records.lock(spec.name):
            old = self._records.find(spec.name)
            observed = self._running(spec.name)
            if old is None or observed is None or observed.version == 0:
                self._start(spec, options, old)
            elif old.spec != spec or observed.digest != spec.digest:
                self._replace(spec, options, observed)
            self._records.save(DeploymentRecord(spec, Status.READY))
        return self.describe(spec.name)

    def describe(self, name: str) -> Deployment:
        """What answers under this name. Raises NotFound."""
        return self._describe(self._records.load(name))

    def undeploy(self, name: str) -> None:
        """Drain and stop the server, then forget the deployment. Idempotent."""
        with self._records.lock(name):
            self._stop_running(name)
            self._records.remove(name)

    def list(self) -> Sequence[Deployment]:
        """Every deployment, by name."""
        return self._records.described(self._describe)

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows over HTTP.

        Raises:
            NotFound: unknown name.
            Unavailable: it does not answer.
            InvalidInput: the rows do not fit the signature.
        """
        deployment = self.describe(name)
        if deployment.status is not Status.READY:
            raise Unavailable(f"deployment {name!r} is {deployment.status}: {deployment.detail}")
        return ask(deployment.address, rows)

    def _start(self, spec: DeploymentSpec, options: RestOptions, old: DeploymentRecord | None) -> None:
        self._stop_running(spec.name)
        folder = self._records.folder(spec.name)
        desired = _desired(spec, options, generation=1, ports=_ports(options, control.read_observed(folder)))
        control.forget_observed(folder)
        control.write_desired(folder, desired)
        # On record from here on, so that whatever happens to us, the server can be found and undeployed.
        self._records.save(DeploymentRecord(spec, Status.FAILED, detail="coming up"))
        server = spawn_detached(_command(folder), folder / control.LOG, {})
        try:
            self._await(spec, 1, options.timeout_s, server)
        except BaseException:
            stop(server, _STOP_S)
            self._records.remove(spec.name)
            if old is not None and old.status is Status.READY:
                self._records.save(old)
            raise

    def _replace(self, spec: DeploymentSpec, options: RestOptions, observed: Observed) -> None:
        folder = self._records.folder(spec.name)
        before = control.read_desired(folder)
        _refuse_to_move(before, options, observed.address)
        generation = before.generation + 1
        control.write_desired(folder, _desired(spec, options, generation, before.settings.ports))
        try:
            self._await(spec, generation, options.timeout_s, observed.process)
        except BaseException:
            # What answers is what should: also when the server is started anew.
            control.write_desired(folder, replace(before, generation=generation + 1))
            raise

    def _await(self, spec: DeploymentSpec, generation: int, timeout: float, server: ProcessId) -> None:
        """Wait until the server has acted on ``generation``, and raise what it says went wrong."""
        folder = self._records.folder(spec.name)
        what = f"version {spec.version} of {spec.ref.name}"

        def settled() -> bool:
            observed = control.read_observed(folder)
            return not is_alive(server) or (observed is not None and observed.generation >= generation)

        try:
            wait_until(settled, timeout, f"{what} answers")
        except Unavailable as exc:
            raise DeploymentFailed(str(exc)) from None
        observed = control.read_observed(folder)
        if observed is None or observed.generation < generation:
            raise DeploymentFailed(f"the server ended while {what} was coming up: {_last_line(folder)}")
        if observed.phase is Phase.FAILED:
            error = {Conflict.code: Conflict, IntegrityError.code: IntegrityError}.get(
                observed.code, DeploymentFailed
            )
            raise error(f"{what} did not come up: {observed.error}")

    def _running(self, name: str) -> Observed | None:
        """What the server says, or None when there is no such process."""
        observed = control.read_observed(self._records.path(name))
        return observed if observed is not None and is_alive(observed.process) else None

    def _stop_running(self, name: str) -> None:
        observed = self._running(name)
        if observed is not None:
            stop(observed.process, _STOP_S)

    def _describe(self, record: DeploymentRecord) -> Deployment:
        """The server knows better than the record what answers."""
        deployment = record.deployment(self.name)
        observed = self._running(deployment.name)
        if observed is not None and observed.version:
            return replace(
                deployment,
                version=observed.version,
                digest=observed.digest,
                status=Status.READY,
                address=observed.address,
                detail="",
                figures={"pid": observed.pid, "scorer": observed.scorer},
            )
        if record.status is Status.READY:
            return replace(deployment, status=Status.STOPPED, detail="its server process is gone; deploy it again")
        return deployment


def _desired(spec: DeploymentSpec, options: RestOptions, generation: int, ports: Sequence[int]) -> Desired:
    return Desired(
        generation=generation,
        deployment=spec.name,
        model=spec.ref.name,
        version=spec.version,
        digest=spec.digest,
        snapshot=str(spec.snapshot.absolute()),
        compiled="" if spec.compiled is None else str(spec.compiled.absolute()),
        settings=options.settings(ports),
    )


def _ports(options: RestOptions, last: Observed | None) -> list[int]:
    """The one that was asked for; else the one that clients know from a server that died, or any free one."""
    if options.port:
        return [options.port]
    known = urlsplit(last.address).port if last is not None else None
    return [known, 0] if known else [0]


def _command(folder: Path) -> list[str]:
    # -P: nothing in whatever folder we were called from shadows a module of ours.
    return [sys.executable, "-P", "-m", "lifecycle.serving.server", str(folder)]


def _refuse_to_move(before: Desired, options: RestOptions, address: str) -> None:
    if options.host != before.settings.host or options.port not in (0, urlsplit(address).port):
        raise Conflict(f"deployment {before.deployment!r} answers at {address}; undeploy it before moving it")


def _last_line(folder: Path) -> str:
    lines = (folder / control.LOG).read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line[:300] for line in reversed(lines) if line.strip()), "without a word")
