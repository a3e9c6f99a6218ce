"""One run of a plan: read, score, write, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.signature import Signature
from lifecycle.targets.batch.chunks import Chunk, read_chunks, read_row_count, read_schema
from lifecycle.targets.batch.fit import demand_fitting_columns
from lifecycle.targets.batch.output import Output, open_output
from lifecycle.targets.batch.plan import (
    BatchPlan,
    BatchProgress,
    ChunkDone,
    InputChanged,
    OnProgress,
    make_manifest,
)
from lifecycle.targets.batch.score import ChunkScorer


@dataclass(frozen=True, slots=True)
class Run:
    """A plan and what it takes to carry it out.

    Attributes:
        folder: The output folder.
        load: Loads the model; called only when there is something to score.
    """

    plan: BatchPlan
    folder: Path
    signature: Signature
    load: Callable[[], Scorer]
    on_progress: OnProgress

    def finish(self) -> dict[str, Any]:
        """Start the run, go on with it, or find it done.

        Returns:
            The manifest.

        Raises:
            Conflict: the output folder is in use, or holds something else.
            IntegrityError: the output was changed after it was committed.
            DeploymentFailed: nothing was committed. Finished parts stay for the next try, unless the
                input changed.
        """
        try:
            with open_output(self.folder, self.plan) as output:
                return output.committed() or self._work(output)
        except OSError as exc:
            raise DeploymentFailed(
                f"cannot write to {self.folder} ({exc.strerror}); nothing was committed. Finished parts are kept: "
                "the same command goes on from there"
            ) from exc

    def _work(self, output: Output) -> dict[str, Any]:
        total = self._check_input()
        done = output.resume()
        try:
            self._score_what_is_left(output, done, total)
            manifest = make_manifest(self.plan, list(done.values()), total)
            self.plan.demand_unchanged_input()
            output.commit(manifest)
        except BaseException as exc:
            if isinstance(exc, InputChanged) or not done:
                output.discard()
            raise
        return manifest

    def _score_what_is_left(self, output: Output, done: dict[int, ChunkDone], total: int | None) -> None:
        scorer = self._loaded()
        try:
            work, progress = ChunkScorer(scorer, self.plan.keep), BatchProgress(total)
            for number, chunk in enumerate(self._chunks()):
                if number not in done or done[number].scorer != scorer.kind:
                    scored = work.score(chunk)
                    done[number] = output.write(
                        number, chunk.rows_in, scorer.kind, scored.predictions, scored.rejected
                    )
                progress = progress.after(chunk.rows_in, done[number].rows_rejected)
                self.on_progress(progress)
        finally:
            scorer.close()

    def _loaded(self) -> Scorer:
        try:
            return self.load()
        except Exception as exc:  # loading a model runs the model's own libraries
            raise DeploymentFailed(f"the model does not load ({type(exc).__name__})") from exc

    def _chunks(self) -> Iterator[Chunk]:
        """Every chunk of every file. Once a file is read it must still be the one that was pinned."""
        for file in self.plan.files:
            file.demand_unchanged()
            yield from read_chunks(file.path, self._columns(file.path), self.plan.chunk_rows)
            file.demand_unchanged()

    def _columns(self, path: Path) -> list[str]:
        wanted = dict.fromkeys((*self.signature.names, *self.plan.keep))
        return [name for name in read_schema(path).names if name in wanted]

    def _check_input(self) -> int | None:
        """Rows to score, where the files say so.

        Raises:
            DeploymentFailed: a file cannot be read, or its columns cannot fit the model.
        """
        if self.signature.is_tensor:
            raise DeploymentFailed("the model takes tensors; batch scoring needs a model with named columns")
        kept: dict[str, pa.DataType] = {}
        for file in self.plan.files:
            schema = read_schema(file.path)
            demand_fitting_columns(file.path, schema, self.signature, self.plan.keep)
            for name in self.plan.keep:
                given = pa.string() if file.path.suffix == ".csv" else schema.field(name).type
                if kept.setdefault(name, given) != given:
                    raise DeploymentFailed(
                        f"column {name!r} of {file.path} is {given}, and {kept[name]} in the files before it; "
                        "convert it, or leave it out of -C keep"
                    )
        counts = [read_row_count(file.path) for file in self.plan.files]
        return None if None in counts else sum(count or 0 for count in counts)
