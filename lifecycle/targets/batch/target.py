"""The batch target: a deployment is a completely scored input.

A run finds the missing chunks of its plan, lets an engine score them, and commits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status, Variant
from lifecycle.domain.model import Snapshot
from lifecycle.errors import DeploymentFailed
from lifecycle.registry.snapshot import verified
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.signature import Signature
from lifecycle.targets.batch.chunks import addresses_of, demand_fitting_columns, is_csv, read_schema
from lifecycle.targets.batch.engine import BatchEngine, LocalEngine, ScoringJob
from lifecycle.targets.batch.output import Output, open_output
from lifecycle.targets.batch.plan import (
    MANIFEST,
    BatchOptions,
    BatchPlan,
    BatchProgress,
    ChunkDone,
    InputChanged,
    OnProgress,
    make_manifest,
)
from lifecycle.targets.contract import TargetContext, only_variant
from lifecycle.targets.records import ArtifactTarget, DeploymentRecord


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A plan with its engine and scorer.

    Attributes:
        engine: Scores missing chunks.
        scorer: ``compiled`` or ``pyfunc``. Chunks of another scorer are scored again.
    """

    plan: BatchPlan
    job: ScoringJob
    engine: BatchEngine
    scorer: str
    on_progress: OnProgress

    def finish(self) -> dict[str, Any]:
        """Start or resume the run; a finished one is returned unchanged.

        Returns:
            The manifest.

        Raises:
            Conflict: the output folder is in use, or holds other files.
            IntegrityError: the output was changed after it was committed.
            DeploymentFailed: nothing was committed. Finished parts stay for the next run, unless the
                input changed.
        """
        folder = self.job.folder
        try:
            with open_output(folder, self.plan) as output:
                return output.committed() or self._work(output)
        except OSError as exc:
            raise DeploymentFailed(
                f"cannot write to {folder} ({exc.strerror}); nothing was committed. Finished parts are kept: "
                "the same command goes on from there"
            ) from exc

    def _work(self, output: Output) -> dict[str, Any]:
        self._check_input()
        plan = output.begun()
        if plan is None:
            files = [file.path for file in self.plan.files]
            plan = replace(self.plan, chunks=addresses_of(files, self.plan.chunk_rows, self.job.signature))
            self.plan.demand_unchanged_input()
            output.begin(plan)
        done = output.done()
        try:
            self._score_what_is_missing(output, plan, done)
            manifest = make_manifest(plan, list(done.values()))
            plan.demand_unchanged_input()
            output.commit(manifest)
        except BaseException as exc:
            if isinstance(exc, InputChanged) or not done:
                output.discard()
            raise
        return manifest

    def _score_what_is_missing(self, output: Output, plan: BatchPlan, done: dict[int, ChunkDone]) -> None:
        kept = {number: chunk for number, chunk in done.items() if chunk.scorer == self.scorer}
        rows_in, rejected = (sum(getattr(c, what) for c in kept.values()) for what in ("rows_in", "rows_rejected"))
        for chunk in self.engine.run(plan, [address for address in plan.chunks if address.number not in kept]):
            output.record(chunk)
            done[chunk.chunk] = chunk
            rows_in, rejected = rows_in + chunk.rows_in, rejected + chunk.rows_rejected
            self.on_progress(BatchProgress(plan.rows, rows_in, rejected))

    def _check_input(self) -> None:
        """Raise DeploymentFailed when a file cannot be read, or its columns cannot fit the model."""
        signature, kept = self.job.signature, dict[str, pa.DataType]()
        flat: tuple[str, ...] = ()
        for file in self.plan.files:
            schema = read_schema(file.path, signature)
            columns = demand_fitting_columns(file.path, schema, signature, self.plan.keep)
            if signature.is_tensor and not columns.is_tensor:
                flat = flat or columns.names
                if columns.names != flat:
                    raise DeploymentFailed(
                        f"input {file.path} has other columns, or in another order, than the first"
                    )
            for name in self.plan.keep:
                given = pa.string() if is_csv(file.path) else schema.field(name).type
                if kept.setdefault(name, given) != given:
                    raise DeploymentFailed(
                        f"column {name!r} of {file.path} is {given}, and {kept[name]} in the files before it; "
                        "convert it, or leave it out of -C keep"
                    )


class BatchTarget(ArtifactTarget):
    """Scores Parquet, CSV and ``.npy`` files.

    Args:
        on_progress: Called after each chunk of a running deployment.
    """

    name = "batch"
    marker = MANIFEST
    Options = BatchOptions
    help = f"""\
batch: score a Parquet, CSV or .npy file, or a folder or glob of them, into a folder of Parquet files.

Every row of the input is either in the output, in the order of the input, or in the output's _rejected/ with
file, row number and reason. _manifest.json names model, version, digest, input and parts and is written last:
an output that has one is complete. A run that was interrupted goes on where it stopped when it is given again.

{BatchOptions.describe()}

Example: mlflow deployments create -t lifecycle:/batch --name july -m models:/flights-delay/Production
           -C input=july.parquet -C output=predictions/july -C keep=flight"""

    def __init__(self, context: TargetContext, on_progress: OnProgress = lambda _: None) -> None:
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
        with self._records.lock(spec.name):
            options, variant = BatchOptions.parse(spec.options), only_variant(spec, self.name)
            snapshot = verified(self._models.snapshot(variant.source))
            output = options.output_for(spec.version)
            load = partial(self._load, variant, snapshot)
            job = ScoringJob(output, Signature.from_snapshot(snapshot.path), load)
            plan, scorer = BatchPlan.make(spec, options), "compiled" if variant.compiled else "pyfunc"
            manifest = BatchRun(plan, job, LocalEngine(job), scorer, self.on_progress).finish()
            figures = {key: manifest[key] for key in ("rows_in", "rows_out", "rows_rejected", "scorer")}
            figures["parts"] = len(manifest["parts"])
            record = DeploymentRecord(spec, Status.READY, address=str(output), figures=figures)
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
