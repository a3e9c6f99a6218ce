"""Input files in chunks with fixed boundaries, each of which can be read separately."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifecycle.data.csv import header_of, open_cells
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.row_check import may_fit
from lifecycle.scoring.signature import Column, InvalidInput, SchemaMismatch, Signature
from lifecycle.scoring.tensor_rows import table_signature
from lifecycle.scoring.values import missing
from lifecycle.targets.batch.arrays import ArrayFile
from lifecycle.targets.batch.plan import ChunkAddress

_BLOCK = 4 << 20  # bytes
_RECORD = re.compile(
    rb'[^"\r\n]*+'
    rb'(?:(?:(?<![^,\r\n])"[^"]*+(?:""[^"]*+)*+(?:"|\Z)|")[^"\r\n]*+)*+'  # a quote inside of a cell is a character
    rb"(?:\r\n|\n|\r|\Z)"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some consecutive rows of one file, or the only rows of several.

    Attributes:
        rows: The requested columns. From CSV they are ``binary``: raw cells, null for missing ones. From an array
            they are those of :mod:`lifecycle.targets.batch.arrays`.
        numbers: Each row's number in its file; the first row of data is 1.
        ragged: Numbers of rows with another number of cells than the header.
        files: The file of each row; empty if all are of ``file``.
    """

    file: Path
    rows: pa.RecordBatch
    numbers: NDArray[np.int64]
    ragged: tuple[int, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def rows_in(self) -> int:
        """Number of rows of the file in this chunk."""
        return len(self.numbers) + len(self.ragged)

    @property
    def is_raw(self) -> bool:
        """Whether the rows are raw cells that have to be parsed."""
        return is_csv(self.file)


def is_csv(path: Path) -> bool:
    """Whether a file is CSV."""
    return path.suffix == ".csv"


def _is_array(path: Path) -> bool:
    return path.suffix == ".npy"


_ANY = Signature(())


def addresses_of(files: Iterable[Path], chunk_rows: int, signature: Signature = _ANY) -> tuple[ChunkAddress, ...]:
    """Addresses of all chunks in order. CSV files are read once for that.

    Args:
        signature: The model's, which says what is a row of an array.

    Raises:
        DeploymentFailed: a file cannot be read.
    """
    found: list[ChunkAddress] = []
    before: pa.DataType | None = None
    for position, path in enumerate(files):
        with _naming(path):
            only = _only_row(path, signature)
            if only is not None and only == before and found[-1].rows < chunk_rows:
                found[-1] = found[-1]._replace(rows=found[-1].rows + 1, stop=found[-1].rows + 1)
                continue
            before = only
            parts = _csv_parts(path, chunk_rows) if is_csv(path) else _parts(_rows_of(path, signature), chunk_rows)
            for part in parts:
                found.append(ChunkAddress(len(found), position, *part))
    return tuple(found)


def _only_row(path: Path, signature: Signature) -> pa.DataType | None:
    """The Arrow type of the only row of an array; None of other files."""
    array = ArrayFile.open(path, signature) if _is_array(path) else None
    return array.kind if array is not None and array.shape[0] == 1 else None


def read_only_rows(paths: Sequence[Path], columns: Collection[str], signature: Signature) -> Chunk:
    """The only rows of several arrays as one chunk. Raises DeploymentFailed if a file cannot be read."""
    batches = []
    for path in paths:
        with _naming(path):
            batches.append(ArrayFile.open(path, signature).read(1, 1, columns))
            if batches[-1].num_rows != 1 or batches[-1].schema != batches[0].schema:
                raise DeploymentFailed(f"input {path}: its row cannot be read any more; run it again")
    rows = _one_batch(pa.Table.from_batches(batches))
    return Chunk(paths[0], rows, np.ones(len(paths), np.int64), files=tuple(paths))


def _rows_of(path: Path, signature: Signature) -> int:
    """Number of rows of a Parquet file or an array."""
    rows: int = ArrayFile.open(path, signature).shape[0] if _is_array(path) else pq.read_metadata(path).num_rows
    return rows


def _parts(rows: int, chunk_rows: int) -> Iterator[tuple[int, int, int, int]]:
    return ((first + 1, min(chunk_rows, rows - first), 0, 0) for first in range(0, rows, chunk_rows))


def _csv_parts(path: Path, chunk_rows: int) -> Iterator[tuple[int, int, int, int]]:
    first, rows, start, stop = 1, 0, 0, 0
    for stop in _ends_of_records(path):
        if not start:  # the header
            start = stop
            continue
        rows += 1
        if rows == chunk_rows:
            yield first, rows, start, stop
            first, rows, start = first + rows, 0, stop
    if rows:
        yield first, rows, start, stop


def _ends_of_records(path: Path) -> Iterator[int]:
    """Offsets after the header and after each row that is not an empty line."""
    offset, held = 0, b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            held += block
            ends: Iterable[tuple[int, int]] = _quoted_ends(held, last=False)
            if b'"' not in held and b"\r" not in held:  # lines are the records
                lines = (np.flatnonzero(np.frombuffer(held, np.uint8) == ord("\n")) + 1).tolist()
                ends = zip([0, *lines], lines, strict=False)
            used = 0
            for start, end in ends:
                used = end
                if end - start > 1 and held[start:end].strip(b"\r\n"):
                    yield offset + end
            offset, held = offset + used, held[used:]
    for start, end in _quoted_ends(held, last=True):
        if held[start:end].strip(b"\r\n"):
            yield offset + end


def _quoted_ends(content: bytes, *, last: bool) -> Iterator[tuple[int, int]]:
    """Where records begin and end. Unless nothing comes after the content, the last one may go on."""
    for record in _RECORD.finditer(content):
        if last or record.end() < len(content):
            yield record.span()


def read_schema(path: Path, signature: Signature = _ANY) -> pa.Schema:
    """Names and types of a file's columns; a CSV file has only names.

    Args:
        signature: The model's, which says what is a row of an array.

    Raises:
        DeploymentFailed: the file cannot be read, or has two columns with one name.
    """
    with _naming(path):
        if is_csv(path):
            schema = pa.schema([(name, pa.binary()) for name in header_of(path)])
        elif _is_array(path):
            schema = ArrayFile.open(path, signature).schema
        else:
            schema = pq.read_schema(path)
    if len(set(schema.names)) != len(schema.names):
        raise DeploymentFailed(f"input {path} names a column twice")
    return schema


def demand_fitting_columns(
    path: Path, schema: pa.Schema, signature: Signature, keep: Collection[str]
) -> Signature:
    """Check a file's columns before its first row is read.

    Returns:
        The signature of the columns that the rows are in.

    Raises:
        DeploymentFailed: a column is missing or its type cannot fit; names file and column.
    """
    lacking = [name for name in keep if name not in schema.names]
    if lacking:
        raise DeploymentFailed(f"input {path} has no column {lacking[0]!r}, which -C keep asks for")
    try:
        columns = table_signature(signature, schema, keep)
    except SchemaMismatch as exc:
        raise DeploymentFailed(f"input {path}: {exc}") from exc
    for column in columns.inputs:
        _demand_fitting_column(path, schema, column)
    return columns


def _demand_fitting_column(path: Path, schema: pa.Schema, column: Column) -> None:
    if column.name not in schema.names:
        if column.required:
            raise DeploymentFailed(f"input {path} has no column {column.name!r}, which the model requires")
        try:
            missing(column, 0)
        except InvalidInput as exc:
            raise DeploymentFailed(f"input {path}: {exc}") from exc
    elif (column.shape or not is_csv(path)) and not may_fit(column, schema.field(column.name).type):
        wanted = f"{column.type} of shape {column.shape}" if column.shape else column.type
        raise DeploymentFailed(
            f"column {column.name!r} of input {path} is {schema.field(column.name).type}, and the model wants "
            f"{wanted}; convert the column"
        )


class ChunkReader:
    """Reads chunks of one file in any order; consecutive ones take one pass over the file."""

    def __init__(self, path: Path, columns: list[str], signature: Signature = _ANY) -> None:
        self._path = path
        self._columns = columns
        self._header = b""
        self._array = ArrayFile.open(path, signature) if _is_array(path) else None
        self._parquet: _ParquetRows | None = None

    def read(self, address: ChunkAddress) -> Chunk:
        """Read one chunk. Raises DeploymentFailed if the file cannot be read, or lacks these rows."""
        with _naming(self._path):
            chunk = self._read(address)
        if chunk.rows_in != address.rows:
            last = address.first_row + address.rows - 1
            raise DeploymentFailed(
                f"input {self._path}: {chunk.rows_in} rows were read for rows {address.first_row} to {last}; "
                "convert the file to Parquet"
            )
        return chunk

    def _read(self, address: ChunkAddress) -> Chunk:
        if is_csv(self._path):
            return self._read_csv(address)
        batch = (
            self._read_parquet(address)
            if self._array is None
            else self._array.read(address.first_row, address.rows, self._columns)
        )
        return Chunk(self._path, batch, np.arange(address.first_row, address.first_row + batch.num_rows))

    def _read_csv(self, address: ChunkAddress) -> Chunk:
        ragged: list[int] = []
        with self._path.open("rb") as file:
            self._header = self._header or file.read(next(_ends_of_records(self._path)))
            file.seek(address.start)
            content = self._header + file.read(address.stop - address.start)
        types = dict.fromkeys(self._columns, pa.binary())
        table = open_cells(content, types, self._columns, ragged.append).read_all()
        skipped = np.array(ragged, np.int64) + (address.first_row - 1)
        every = np.arange(address.first_row, address.first_row + table.num_rows + len(ragged))
        return Chunk(self._path, _one_batch(table), np.setdiff1d(every, skipped), tuple(skipped.tolist()))

    def _read_parquet(self, address: ChunkAddress) -> pa.RecordBatch:
        rows = self._parquet
        if rows is None or rows.next_row != address.first_row:
            if rows is not None:
                rows.close()
            rows = self._parquet = _ParquetRows(self._path, self._columns, address)
        return rows.take(address.rows)

    def close(self) -> None:
        """Close the file."""
        if self._parquet is not None:
            self._parquet.close()


class _ParquetRows:
    """The rows of a Parquet file from a row on, in constant memory."""

    def __init__(self, path: Path, columns: list[str], address: ChunkAddress) -> None:
        # without these two options Arrow keeps the bytes of the whole file
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        ends = np.cumsum(sizes)
        group = int(np.searchsorted(ends, address.first_row - 1, side="right"))
        groups = list(range(group, len(sizes)))
        self._batches = self._file.iter_batches(max(1, address.rows), row_groups=groups, columns=columns)
        self._held: list[pa.RecordBatch] = []
        self.next_row = int(ends[group] - sizes[group]) + 1 if groups else address.first_row
        self.take(address.first_row - self.next_row)

    def take(self, rows: int) -> pa.RecordBatch:
        """The next rows; fewer at the end of the file."""
        while sum(batch.num_rows for batch in self._held) < rows:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._held.append(batch)
        table = pa.Table.from_batches(self._held, self._file.schema_arrow if not self._held else None)
        self._held = table.slice(rows).to_batches()
        taken = _one_batch(table.slice(0, rows))
        self.next_row += taken.num_rows
        return taken

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors. Arrow's own message may quote a cell, so it stays in the traceback."""
    try:
        yield
    except (pa.ArrowException, OSError) as exc:
        raise DeploymentFailed(
            f"cannot read input {path} as {path.suffix[1:]} ({type(exc).__name__}); check or remove the file"
        ) from exc
