"""The batch target: a deployment is a completely scored input."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status, Variant
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import verified
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.targets.batch.plan import MANIFEST, BatchOptions, BatchPlan, BatchProgress, OnProgress
from lifecycle.targets.contract import TargetContext, only_variant
from lifecycle.targets.records import ArtifactTarget, DeploymentRecord


def _say_nothing(progress: BatchProgress) -> None:
    """The default progress callback, which does nothing."""


class BatchTarget(ArtifactTarget):
    """Scores Parquet and CSV files.

    Args:
        on_progress: Called after each chunk of a running deployment.
    """

    name = "batch"
    marker = MANIFEST
    Options = BatchOptions
    help = f"""\
batch: score a Parquet or CSV file, or a folder of them, into a folder of Parquet files.

Every row of the input is either in the output, in the order of the input, or in the output's _rejected/ with
file, row number and reason. _manifest.json names model, version, digest, input and parts and is written last:
an output that has one is complete. A run that was interrupted goes on where it stopped when it is given again.

{BatchOptions.describe()}

Example: mlflow deployments create -t lifecycle:/batch --name july -m models:/flights-delay/Production
           -C input=july.parquet -C output=predictions/july -C keep=flight"""

    def __init__(self, context: TargetContext, on_progress: OnProgress = _say_nothing) -> None:
        self.on_progress = on_progress
        super().__init__(context)

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Score the whole input, or resume an interrupted run. A finished one is not changed.

        Raises:
            OptionError: an option is unknown or malformed, or the input does not exist.
            IntegrityError: the snapshot or a finished output has changed.
            Conflict: another run has this name or output, or the output holds other files.
            DeploymentFailed: the input cannot be read, does not fit the model or has changed, the model
                failed, or the disk is full. Then there is no manifest.
        """
        from lifecycle.scoring.signature import Signature
        from lifecycle.targets.batch.engine import LocalEngine, ScoringJob
        from lifecycle.targets.batch.run import BatchRun

        with self._records.lock(spec.name):
            options, variant = BatchOptions.parse(spec.options), only_variant(spec, self.name)
            snapshot = verified(self._models.snapshot(variant.source))
            output = options.output_for(spec.version)
            load = partial(self._load, variant, snapshot)
            job = ScoringJob(output, Signature.from_snapshot(snapshot.path), load)
            plan, scorer = BatchPlan.make(spec, options), "compiled" if variant.compiled else "pyfunc"
            manifest = BatchRun(plan, job, LocalEngine(job), scorer, self.on_progress).finish()
            record = DeploymentRecord(spec, Status.READY, address=str(output), figures=_figures(manifest))
            self._records.save(record)
            return record.deployment(self.name)

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows with the batch's scorer, in this process."""
        variant = self._records.load(name).spec.champion
        scorer = self._load(variant, verified(self._models.snapshot(variant.source)))
        try:
            return scorer.predict(rows)
        finally:
            scorer.close()

    def _load(self, variant: Variant, snapshot: Snapshot) -> Scorer:
        from lifecycle.scoring.loader import load_scorer

        return load_scorer(snapshot.path, self._models.compiled(variant.source) if variant.compiled else None)


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    counted = {key: manifest[key] for key in ("rows_in", "rows_out", "rows_rejected", "scorer")}
    return counted | {"parts": len(manifest["parts"])}
