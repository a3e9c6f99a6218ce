"""The edge target: a deployment is a bundle with verified predictions."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status
from lifecycle.durable import write_durably
from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, Unavailable
from lifecycle.registry.snapshot import verified
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.targets.contract import TargetOptions, only_variant
from lifecycle.targets.records import ArtifactTarget, DeploymentRecord


class EdgeOptions(TargetOptions):
    """Options of one edge deployment."""

    output: str = Field(pattern=r"\.zip$", description="the bundle to write, a file named *.zip")

    @property
    def bundle(self) -> Path:
        """Path of the bundle."""
        return Path(self.output).expanduser().resolve()


class EdgeTarget(ArtifactTarget):
    """Writes bundles for devices."""

    name = "edge"
    Options = EdgeOptions
    help = f"""\
edge: pack a compiled version into one .zip file that runs with Python, numpy and onnxruntime alone.

The bundle holds the ONNX model, a runner, golden rows and a manifest with the digest of each; building it again
gives the same bytes. Before it counts, its own runner must give the model's predictions in a bare process.

{EdgeOptions.describe()}

Example: mlflow deployments create -t lifecycle:/edge --name gate-7 -m models:/flights-delay/Production
           -C output=flights.zip
On the device: unzip flights.zip run.py; python run.py flights.zip --input rows.csv"""

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Build the bundle, verify it, and write it atomically.

        Raises:
            OptionError: an option is unknown or malformed.
            IntegrityError: the snapshot has changed.
            Conflict: another process is deploying it, or the file exists and is not this deployment's.
            DeploymentFailed: the version has no compiled form or no golden rows, or the bundle answers
                differently. The file, if there is one, is the old one.
        """
        from lifecycle.bundle.proof import proven_bundle

        with self._records.lock(spec.name):
            bundle, variant = EdgeOptions.parse(spec.options).bundle, only_variant(spec, self.name)
            snapshot = verified(self._models.snapshot(variant.source))
            content = proven_bundle(
                spec, snapshot, self._models.compiled(variant.source) if variant.compiled else None
            )
            _put(bundle, content, self._records.find(spec.name))
            figures = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            record = DeploymentRecord(spec, Status.READY, address=str(bundle), figures=figures)
            self._records.save(record)
            return record.deployment(self.name)

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows with the bundle's own code and files, in this process."""
        from lifecycle.bundle.runner import BundleRefused, RowsRefused, Runner
        from lifecycle.scoring.signature import InvalidInput

        bundle = Path(self._records.load(name).address)
        try:
            return Runner(bundle).predict(rows)
        except RowsRefused as exc:
            raise InvalidInput(str(exc)) from exc
        except BundleRefused as exc:
            raise IntegrityError(f"{bundle}: {exc}; deploy it again") from exc
        except OSError as exc:
            raise Unavailable(f"cannot read {bundle}: {exc.strerror}; deploy it again") from exc


def _put(bundle: Path, content: bytes, before: DeploymentRecord | None) -> None:
    """Write the bundle unless it exists; only this deployment's own old bundle is replaced."""
    try:
        if bundle.exists():
            if bundle.read_bytes() == content:
                return
            if before is None or before.address != str(bundle):
                raise Conflict(
                    f"{bundle} is there already and not this deployment's; remove it or give another name"
                )
        bundle.parent.mkdir(parents=True, exist_ok=True)
        write_durably(bundle, content)
    except OSError as exc:
        raise DeploymentFailed(f"cannot write {bundle}: {exc.strerror}") from exc
