"""Engines score the chunks of a plan: the contract, and the local engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Scorer
from lifecycle.scoring.row_check import score_rows, text_of
from lifecycle.scoring.signature import Signature
from lifecycle.scoring.tensor_rows import OverTable, table_signature
from lifecycle.targets.batch.chunks import Chunk, ChunkReader, is_csv, read_only_rows, read_schema
from lifecycle.targets.batch.output import write_part
from lifecycle.targets.batch.plan import REJECTED, BatchPlan, ChunkAddress, ChunkDone

RAGGED = "wrong_number_of_cells"
"""Reason code of a CSV row of another length than the header, beside those of
:mod:`lifecycle.scoring.row_check`."""


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """All that an engine needs to score a plan's chunks.

    Attributes:
        folder: The output folder for the parts.
        load: Loads the model, when there are chunks to score.
    """

    folder: Path
    signature: Signature
    load: Callable[[], Scorer]


class BatchEngine(Protocol):
    """Runs the chunks of a plan. Every engine passes :class:`lifecycle.testing.EngineContract`."""

    def __init__(self, job: ScoringJob) -> None: ...

    def run(self, plan: BatchPlan, missing: Sequence[ChunkAddress]) -> Iterable[ChunkDone]:
        """Score chunks and write their parts, in any order. A chunk is yielded when its parts are on the disk.

        The same chunk gives the same bytes with any engine.

        Raises:
            InputChanged: a file has changed since it was pinned.
            DeploymentFailed: a file cannot be read, or the model fails.
        """


class LocalEngine:
    """Scores one chunk after the other in this process."""

    def __init__(self, job: ScoringJob) -> None:
        self._job = job

    def run(self, plan: BatchPlan, missing: Sequence[ChunkAddress]) -> Iterator[ChunkDone]:
        """Score chunks in the order of the input, in one pass over each file."""
        if not missing:
            return
        try:
            scorer = self._job.load()
        except Exception as exc:  # loading a model runs its own libraries
            raise DeploymentFailed(f"the model does not load ({type(exc).__name__})") from exc
        try:
            for address, chunk in _chunks(plan, self._job.signature, sorted(missing)):
                scored = score_chunk(scorer, chunk, plan.keep)
                name = f"part-{address.number:05d}.parquet"
                yield ChunkDone(
                    address.number,
                    chunk.rows_in,
                    scorer.kind,
                    write_part(self._job.folder, name, scored.predictions),
                    write_part(self._job.folder, f"{REJECTED}/{name}", scored.rejected),
                )
        finally:
            scorer.close()


def _chunks(
    plan: BatchPlan, signature: Signature, addresses: Iterable[ChunkAddress]
) -> Iterator[tuple[ChunkAddress, Chunk]]:
    """Read the chunks, and check after each that its file is unchanged."""
    reader, position = None, -1
    try:
        for address in addresses:
            file = plan.files[address.file]
            if address.stop and not is_csv(file.path):
                yield address, _only_rows(plan, signature, address)
                continue
            if position != address.file or reader is None:
                if reader is not None:
                    reader.close()
                file.demand_unchanged()
                columns = _columns_of(file.path, signature, plan.keep)
                reader, position = ChunkReader(file.path, columns, signature), address.file
            try:
                chunk = reader.read(address)
            finally:
                file.demand_unchanged()  # which also explains why it could not be read
            yield address, chunk
    finally:
        if reader is not None:
            reader.close()


def _only_rows(plan: BatchPlan, signature: Signature, address: ChunkAddress) -> Chunk:
    files = plan.files[address.file : address.file + address.stop]
    try:
        columns = _columns_of(files[0].path, signature, plan.keep)
        return read_only_rows([file.path for file in files], columns, signature)
    finally:
        for file in files:
            file.demand_unchanged()


def _columns_of(path: Path, signature: Signature, keep: Sequence[str]) -> list[str]:
    """The columns of a file that are scored or kept."""
    schema = read_schema(path, signature)
    wanted = {*table_signature(signature, schema, keep).names, *keep}
    return [name for name in schema.names if name in wanted]


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """The result of a chunk: each row is in exactly one of the two.

    Attributes:
        predictions: Kept columns and predictions of the rows that fit, in their order.
        rejected: File, row number, reason code and column (if known) of the other rows, by row number.
    """

    predictions: pa.Table
    rejected: pa.Table


def score_chunk(scorer: Scorer, chunk: Chunk, keep: Sequence[str]) -> ScoredChunk:
    """Score the rows of a chunk that fit, and give the reasons for the others.

    Args:
        keep: Input columns to copy; from CSV as text.

    Raises:
        DeploymentFailed: the model failed, or did not give one prediction per row.
    """
    numbers = chunk.numbers
    where = f"rows {numbers[0]} to {numbers[-1]} of {chunk.file}" if len(numbers) else ""
    if scorer.signature.is_tensor:
        scorer = OverTable(scorer, table_signature(scorer.signature, chunk.rows.schema, keep))
    scored = score_rows(scorer, chunk.rows, where, keep if chunk.is_raw else ())
    bad, ragged = scored.rejected, np.array(chunk.ragged, np.int64)
    files = [chunk.files[at] if chunk.files else chunk.file for at in bad.positions]
    rejected = pa.concat_tables(
        [
            _rejects([chunk.file] * len(ragged), ragged, [RAGGED] * len(ragged), [None] * len(ragged)),
            _rejects(files, numbers[bad.positions], bad.reasons, bad.columns),
        ]
    )
    kept: dict[str, pa.Array] = {}
    if len(scored.positions):
        whole, positions = len(scored.positions) == len(numbers), pa.array(scored.positions)
        columns = {name: chunk.rows.column(name) for name in keep}
        kept = {name: values if whole else values.take(positions) for name, values in columns.items()}
        kept = {name: text_of(values, name) for name, values in kept.items()} if chunk.is_raw else kept
    names = scored.predictions.schema.names
    taken = set(kept) & set(names)
    if taken:
        raise DeploymentFailed(f"the model names a prediction {taken.pop()!r}, so -C keep cannot hold it")
    predictions = pa.table(kept | {name: scored.predictions.column(name) for name in names})
    return ScoredChunk(predictions, rejected.sort_by([("file", "ascending"), ("row", "ascending")]))


def _rejects(
    files: Sequence[Path], numbers: NDArray[np.int64], reasons: Sequence[str], columns: Sequence[str | None]
) -> pa.Table:
    return pa.table(
        {
            "file": pa.array(map(str, files), pa.string()),
            "row": pa.array(numbers, pa.int64()),
            "reason": pa.array(reasons, pa.string()),
            "column": pa.array(columns, pa.string()),
        }
    )
