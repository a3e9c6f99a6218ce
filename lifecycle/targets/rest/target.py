"""Brings deployments up as detached servers, or on another deployment's server, and asks them over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status
from lifecycle.errors import Conflict, Unavailable
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.serving.auth.api_keys import api_keys_file
from lifecycle.serving.control import Observed
from lifecycle.serving.kept import CAPTURED
from lifecycle.targets.records import DeploymentRecord, DeploymentRecords
from lifecycle.targets.rest.client import ask
from lifecycle.targets.rest.co_hosted import CoHosted
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.rest.servers import Servers, running


class RestTarget:
    """MLflow's scoring protocol over HTTP.

    Args:
        home: The folder for state; each deployment's files and its server's log are in ``home/rest/<name>/``,
            and the API keys beside it in ``keys/api.json``.
    """

    name = "rest"
    follows = True
    Options = RestOptions
    help = (
        "rest: answers MLflow's scoring protocol (POST /invocations) over HTTP, in server processes of its own\n"
        "that outlive the command and swap versions without missing a request. Options:\n" + RestOptions.describe()
    )

    def __init__(self, home: Path) -> None:
        self._records = DeploymentRecords(home, self.name)
        self._servers = Servers(self._records, api_keys_file(home.absolute().parent))
        self._co_hosted = CoHosted(self._records)

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
            _refuse_another_server(old, options)
            observed = running(self._records.path(spec.name))
            up = old is not None and observed is not None and observed.version != 0
            if options.server:
                self._co_hosted.bring_up(spec, options, old if up else None)
            elif not up or observed is None:
                self._servers.start(spec, options, old)
            elif old is None or old.spec != spec or observed.digest != spec.digest:
                self._servers.replace(spec, options, observed)
            self._records.save(DeploymentRecord(spec, Status.READY))
        return self.describe(spec.name)

    def describe(self, name: str) -> Deployment:
        """What answers under this name. Raises NotFound."""
        return self._describe(self._records.load(name))

    def undeploy(self, name: str) -> None:
        """Drain and stop the server, then forget the deployment. Idempotent.

        Raises:
            Conflict: its server answers for other deployments too.
        """
        with self._records.lock(name):
            self._co_hosted.refuse_to_leave(name)
            if (host := self._co_hosted.host_of(name)) is not None:
                self._co_hosted.take_down(name, host)
            else:
                self._servers.stop(name)
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
            NotTrusted: it wants a key, and ``LIFECYCLE_API_KEY`` holds none that it takes.
        """
        deployment = self.describe(name)
        if deployment.status is not Status.READY:
            raise Unavailable(f"deployment {name!r} is {deployment.status}: {deployment.detail}")
        return ask(deployment.address, rows, self._certificate(name))

    def _certificate(self, name: str) -> str:
        """Path of its server's, or empty where that speaks plain HTTP."""
        options = self._records.load(name).spec.options
        host = options.get("server")
        return (self._records.load(host).spec.options if host else options).get("tls_cert", "")

    def _captured(self, record: DeploymentRecord) -> dict[str, str]:
        """Where its captured rows are, a folder for each version, where there are any."""
        host = record.spec.options.get("server") or record.spec.name
        folder = self._records.path(host) / CAPTURED / record.spec.name
        return {"captured": str(folder)} if folder.exists() or record.spec.options.get("capture") else {}

    def _describe(self, record: DeploymentRecord) -> Deployment:
        """The server knows better than the record what answers."""
        deployment = record.deployment(self.name)
        observed = running(self._records.path(deployment.name))
        if observed is not None and observed.version:
            return replace(
                deployment,
                version=observed.version,
                digest=observed.digest,
                status=Status.READY,
                address=_address(record, observed),
                detail="",
                figures={"pid": observed.pid, "scorer": observed.scorer, **self._captured(record)},
            )
        if record.status is Status.READY and observed is not None and observed.error:
            return replace(deployment, status=Status.FAILED, detail=observed.error)
        if record.status is Status.READY:
            return replace(deployment, status=Status.STOPPED, detail="its server process is gone; deploy it again")
        return deployment


def _address(record: DeploymentRecord, observed: Observed) -> str:
    """Where ``/invocations`` is this deployment's."""
    guest = bool(record.spec.options.get("server"))
    return f"{observed.address}/models/{record.spec.name}" if guest else observed.address


def _refuse_another_server(old: DeploymentRecord | None, options: RestOptions) -> None:
    before = old.spec.options.get("server", "") if old is not None else options.server
    if before != options.server:
        where = f"the server of {before!r}" if before else "a server of its own"
        name = old.spec.name if old is not None else ""
        raise Conflict(f"deployment {name!r} is on {where}; undeploy it before moving it")
