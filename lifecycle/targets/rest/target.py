"""The REST target: deploys to detached servers, or to another deployment's server, and scores over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.domain.deployment import Deployment, DeploymentSpec, ModelSource, Status, Variant
from lifecycle.errors import Conflict, Unavailable
from lifecycle.processes.process import is_alive
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.serving import control
from lifecycle.serving.auth.api_keys import api_keys_file
from lifecycle.serving.control import Observed
from lifecycle.serving.kept import CAPTURED
from lifecycle.targets.contract import TargetContext, only_variant
from lifecycle.targets.records import DeploymentRecord, DeploymentRecords
from lifecycle.targets.rest.client import KEY_VARIABLE, ask, readiness
from lifecycle.targets.rest.options import RestOptions
from lifecycle.targets.rest.servers import CoHosted, Servers, running

if TYPE_CHECKING:
    import pyarrow as pa


class RestTarget:
    """Deploys versions as REST servers.

    Each deployment's files and its server's log are in ``deployments/rest/<name>/`` below the context's home, and
    the API keys in ``keys/api.json``.
    """

    name = "rest"
    follows = True
    Options = RestOptions
    help = (
        "rest: answers MLflow's scoring protocol (POST /invocations) over HTTP, in server processes of its own\n"
        "that outlive the command and swap versions without missing a request. Options:\n" + RestOptions.describe()
    )

    def __init__(self, context: TargetContext) -> None:
        self._secret = context.secret
        self._records = DeploymentRecords(context.deployments, self.name)
        self._servers = Servers(self._records, context.models, api_keys_file(context.home.absolute()))
        self._co_hosted = CoHosted(self._records, context.models)

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Start a server, or have the running one load the version and switch to it.

        Raises:
            OptionError: an option is unknown or malformed.
            UsageError: there are several variants.
            Conflict: the port is taken, or another process is changing this deployment.
            IntegrityError: the snapshot's files do not match its digest.
            DeploymentFailed: it did not start.
        """
        options = RestOptions.parse(spec.options)
        only_variant(spec, self.name)
        with self._records.lock(spec.name):
            old = self._records.load(spec.name) if spec.existing_only else self._records.find(spec.name)
            before = old.spec.options.get("server", "") if old is not None else options.server
            if before != options.server:
                where = f"the server of {before!r}" if before else "a server of its own"
                raise Conflict(f"deployment {spec.name!r} is on {where}; undeploy it before moving it")
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
        """The deployment with this name. Raises NotFound."""
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
        """All deployments, ordered by name."""
        return self._records.described(self._describe)

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows over HTTP.

        Raises:
            NotFound: unknown name.
            Unavailable: it does not answer.
            InvalidInput: the rows do not fit the signature.
            NotTrusted: it needs a key, and ``LIFECYCLE_API_KEY`` holds no valid one.
        """
        record = self._records.load(name)
        observed = control.read_observed(self._records.path(name))
        if observed is not None and observed.version:
            key = (self._secret(KEY_VARIABLE) or "").strip()
            try:
                host = record.spec.options.get("server")
                options = self._records.load(host).spec.options if host else record.spec.options
                return ask(_address(record, observed), rows, key, options.get("tls_cert", ""))
            except Unavailable:
                if self.describe(name).status is Status.READY:
                    raise
        deployment = self.describe(name)
        raise Unavailable(f"deployment {name!r} is {deployment.status}: {deployment.detail}")

    def observations(self, name: str) -> CapturedRows:
        """The rows that the deployment's server captured. Raises NotFound."""
        return self._captured(self._records.load(name))

    def _captured(self, record: DeploymentRecord) -> CapturedRows:
        name = record.spec.name
        host = record.spec.options.get("server") or name
        folder = self._records.path(host) / CAPTURED / name
        captures = folder.exists() or record.spec.options.get("capture")
        return CapturedRows(str(folder) if captures else "")

    def _describe(self, record: DeploymentRecord) -> Deployment:
        """The deployment's state as its server reports it, not as recorded."""
        deployment = record.deployment(self.name)
        observed = control.read_observed(self._records.path(deployment.name))
        if observed is None or not observed.version:
            if record.status is not Status.READY:
                return deployment
            if observed is not None and observed.error:
                return replace(deployment, status=Status.FAILED, detail=observed.error)
            return replace(deployment, status=Status.STOPPED, detail=_STOPPED)
        status, detail = self._asked(record, observed)
        spec, captured = record.spec, self._captured(record).location
        figures = {"pid": observed.pid, "scorer": observed.scorer} | ({"captured": captured} if captured else {})
        return replace(
            deployment,
            version=observed.version,
            digest=observed.digest,
            status=status,
            address=_address(record, observed),
            detail=detail,
            figures=figures,
            variants=spec.variants if observed.digest == spec.digest else _variants(spec, observed),
        )

    def _asked(self, record: DeploymentRecord, observed: Observed) -> tuple[Status, str]:
        try:
            answer = readiness(observed.address)
        except Unavailable as exc:
            if not is_alive(observed.process):  # then another program listens there
                return Status.STOPPED, _STOPPED
            return Status.FAILED, observed.error or str(exc)
        if answer is None:
            return Status.STOPPED, _STOPPED
        ready, digest = answer
        folder = self._records.path(record.spec.options.get("server") or record.spec.name)
        host = control.read_observed(folder)
        if host is None or host.process != observed.process:  # a server that does not serve this deployment yet
            return Status.STOPPED, _STOPPED
        digests = {host.digest}
        with suppress(FileNotFoundError):  # during a change of version it may answer with the requested one
            digests.add(control.read_desired(folder).digest)
        if digest not in digests:
            return Status.STOPPED, f"another server answers at {observed.address}; deploy it again"
        return (Status.READY, "") if ready else (Status.FAILED, "its server is not ready; see its log")


_STOPPED = "its server does not run; deploy it again"


class CapturedRows:
    """Rows that a server has captured.

    Args:
        location: Folder with one folder of Parquet files per version; empty if none are captured.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        files = Path(self.location).glob("*/*.parquet") if self.location else ()
        for path in sorted(files, key=lambda path: path.name):  # names start with the time
            try:
                with pq.ParquetFile(path) as file:
                    yield from file.iter_batches()
            except FileNotFoundError:  # the oldest files may be deleted meanwhile
                continue


def _variants(spec: DeploymentSpec, observed: Observed) -> tuple[Variant, ...]:
    """The variants; during a change of version the server may answer with another one than is recorded."""
    source = ModelSource(f"models:/{spec.ref.name}/{observed.version}", observed.digest)
    return (Variant(observed.version, source, compiled=observed.scorer == "compiled"),)


def _address(record: DeploymentRecord, observed: Observed) -> str:
    """Address below which ``/invocations`` belongs to this deployment."""
    guest = bool(record.spec.options.get("server"))
    return f"{observed.address}/models/{record.spec.name}" if guest else observed.address
