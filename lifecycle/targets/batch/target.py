"""The batch target: a deployment is a scored input, complete and accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.targets.batch.plan import MANIFEST, BatchOptions, BatchPlan, BatchProgress, OnProgress
from lifecycle.targets.records import ArtifactTarget, DeploymentRecord


def _say_nothing(progress: BatchProgress) -> None:
    """The default: a library does not print."""


class BatchTarget(ArtifactTarget):
    """Scores Parquet and CSV files.

    Args:
        home: Folder for the deployments' records.
        on_progress: Called after each chunk of a running deployment.
    """

    name = "batch"
    mark = MANIFEST
    Options = BatchOptions
    help = f"""\
batch: score a Parquet or CSV file, or a folder of them, into a folder of Parquet files.

Every row of the input is either in the output, in the order of the input, or in the output's _rejected/ with
file, row number and reason. _manifest.json names model, version, digest, input and parts and is written last:
an output that has one is complete. A run that was interrupted goes on where it stopped when it is given again.

{BatchOptions.describe()}

Example: mlflow deployments create -t lifecycle:/batch --name july -m models:/flights-delay/Production
           -C input=july.parquet -C output=predictions/july -C keep=flight"""

    def __init__(self, home: Path, on_progress: OnProgress = _say_nothing) -> None:
        self.on_progress = on_progress
        super().__init__(home)

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Score the whole input, or go on with a run that was interrupted. A finished one is left as it is.

        Raises:
            OptionError: an option is unknown or malformed, or the input is not there.
            IntegrityError: the snapshot, or an output that was finished before, has changed.
            Conflict: this name or output is being worked on, or the output holds something else.
            DeploymentFailed: the input cannot be read, does not fit the model or changed meanwhile, the model
                broke, or the disk is full. There is no manifest then.
        """
        from lifecycle.scoring.loader import load_scorer
        from lifecycle.scoring.signature import Signature
        from lifecycle.targets.batch.run import Run

        with self._records.lock(spec.name):
            options = BatchOptions.parse(spec.options)
            _verify_snapshot(spec)
            output = options.output_for(spec.version)
            manifest = Run(
                BatchPlan.make(spec, options),
                output,
                Signature.from_snapshot(spec.snapshot),
                partial(load_scorer, spec.snapshot, spec.compiled),
                self.on_progress,
            ).finish()
            record = DeploymentRecord(spec, Status.READY, address=str(output), figures=_figures(manifest))
            self._records.save(record)
            return record.deployment(self.name)

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows as the batch did, in this process."""
        from lifecycle.scoring.loader import load_scorer

        spec = self._records.load(name).spec
        _verify_snapshot(spec)
        scorer = load_scorer(spec.snapshot, spec.compiled)
        try:
            return scorer.predict(rows)
        finally:
            scorer.close()


def _verify_snapshot(spec: DeploymentSpec) -> None:
    SnapshotStore(spec.snapshot.parent).verify(Snapshot(spec.digest, spec.snapshot))


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    counted = {key: manifest[key] for key in ("rows_in", "rows_out", "rows_rejected", "scorer")}
    return counted | {"parts": len(manifest["parts"])}
