"""Input files as a stream of chunks, always cut at the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from lifecycle.data.csv import header_of, open_cells
from lifecycle.errors import DeploymentFailed


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of one file.

    Attributes:
        rows: The columns that were asked for. From CSV they are ``binary``: raw cells, null where missing.
        numbers: Each row's number in its file; the first row of data is 1.
        ragged: Numbers of the rows between these that have another number of cells than the header.
    """

    file: Path
    rows: pa.RecordBatch
    numbers: NDArray[np.int64]
    ragged: tuple[int, ...] = ()

    @property
    def rows_in(self) -> int:
        """Rows of the file that this chunk accounts for."""
        return len(self.numbers) + len(self.ragged)

    @property
    def is_raw(self) -> bool:
        """Whether the rows are raw cells, to be parsed still."""
        return self.file.suffix == ".csv"

    def part(self, part: slice) -> Chunk:
        """Consecutive rows of this chunk."""
        return Chunk(self.file, self.rows.slice(part.start, part.stop - part.start), self.numbers[part])

    def only(self, mask: NDArray[np.bool_]) -> Chunk:
        """The rows for which ``mask`` is true."""
        return Chunk(self.file, self.rows.filter(pa.array(mask)), self.numbers[mask], self.ragged)


def read_schema(path: Path) -> pa.Schema:
    """Names and types of a file's columns; of a CSV file, names only count.

    Raises:
        DeploymentFailed: the file cannot be read, or names a column twice.
    """
    with _naming(path):
        schema = _csv_schema(path) if path.suffix == ".csv" else pa.parquet.read_schema(path)
    if len(set(schema.names)) != len(schema.names):
        raise DeploymentFailed(f"input {path} names a column twice")
    return schema


def _csv_schema(path: Path) -> pa.Schema:
    return pa.schema([(name, pa.binary()) for name in header_of(path)])


def read_row_count(path: Path) -> int | None:
    """Rows of a file as it says itself; None for CSV, which has to be read to know."""
    with _naming(path):
        return None if path.suffix == ".csv" else int(pa.parquet.read_metadata(path).num_rows)


def read_chunks(path: Path, columns: list[str], chunk_rows: int) -> Iterator[Chunk]:
    """Read a file piece by piece.

    Raises:
        DeploymentFailed: the file cannot be read.
    """
    read = _read_csv if path.suffix == ".csv" else _read_parquet
    with _naming(path):
        yield from read(path, columns, chunk_rows)


def _read_parquet(path: Path, columns: list[str], chunk_rows: int) -> Iterator[Chunk]:
    with pa.parquet.ParquetFile(path) as file:
        start = 1
        for rows in _recut(file.iter_batches(batch_size=chunk_rows, columns=columns), chunk_rows):
            yield Chunk(path, rows, np.arange(start, start + rows.num_rows))
            start += rows.num_rows


def _read_csv(path: Path, columns: list[str], chunk_rows: int) -> Iterator[Chunk]:
    ragged: list[int] = []  # grows while the reader reads ahead
    reader = open_cells(path, dict.fromkeys(columns, pa.binary()), columns, ragged.append)
    start = 1
    for rows in _recut(reader, chunk_rows):
        candidates = np.arange(start, start + rows.num_rows + len(ragged))
        numbers = np.setdiff1d(candidates, ragged)[: rows.num_rows]
        start = int(numbers[-1]) + 1
        behind = [number for number in ragged if number < start]
        del ragged[: len(behind)]
        yield Chunk(path, rows, numbers, tuple(behind))
    if ragged:
        nothing = pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield Chunk(path, nothing, np.empty(0, np.int64), tuple(ragged))


def _recut(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly ``rows``; the last one may be shorter."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(b.num_rows for b in held) >= rows:
            table = pa.Table.from_batches(held)
            yield _one_batch(table.slice(0, rows))
            held = table.slice(rows).to_batches()
    if any(b.num_rows for b in held):
        yield _one_batch(pa.Table.from_batches(held))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file it was. Arrow's own message may quote a cell, so it stays in the traceback."""
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise DeploymentFailed(
            f"cannot read input {path} as {path.suffix[1:]} ({type(exc).__name__}); check or remove the file"
        ) from exc
