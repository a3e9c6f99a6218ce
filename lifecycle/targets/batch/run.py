"""Runs a plan: finds missing chunks, lets an engine score them, commits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from lifecycle.errors import DeploymentFailed
from lifecycle.targets.batch.chunks import addresses_of, demand_fitting_columns, is_csv, read_schema
from lifecycle.targets.batch.engine import BatchEngine, ScoringJob
from lifecycle.targets.batch.output import Output, open_output
from lifecycle.targets.batch.plan import (
    BatchPlan,
    BatchProgress,
    ChunkDone,
    InputChanged,
    OnProgress,
    make_manifest,
)


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
            plan = replace(self.plan, chunks=addresses_of(files, self.plan.chunk_rows))
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
        progress = BatchProgress(
            plan.rows,
            sum(chunk.rows_in for chunk in kept.values()),
            sum(chunk.rows_rejected for chunk in kept.values()),
        )
        for chunk in self.engine.run(plan, [address for address in plan.chunks if address.number not in kept]):
            output.record(chunk)
            done[chunk.chunk] = chunk
            progress = progress.after(chunk.rows_in, chunk.rows_rejected)
            self.on_progress(progress)

    def _check_input(self) -> None:
        """Raise DeploymentFailed when a file cannot be read, or its columns cannot fit the model."""
        if self.job.signature.is_tensor:
            raise DeploymentFailed("the model takes tensors; batch scoring needs a model with named columns")
        kept: dict[str, pa.DataType] = {}
        for file in self.plan.files:
            schema = read_schema(file.path)
            demand_fitting_columns(file.path, schema, self.job.signature, self.plan.keep)
            for name in self.plan.keep:
                given = pa.string() if is_csv(file.path) else schema.field(name).type
                if kept.setdefault(name, given) != given:
                    raise DeploymentFailed(
                        f"column {name!r} of {file.path} is {given}, and {kept[name]} in the files before it; "
                        "convert it, or leave it out of -C keep"
                    )
