"""Rows in CSV files. They are copied to Parquet as text once; each column's type is found from all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from lifecycle.data.files import Files, find_files
from lifecycle.data.frame import check_columns
from lifecycle.data.parquet import ParquetRows, as_series
from lifecycle.errors import UsageError

# What pandas takes for a missing value too.
_NULLS = ["", "NA", "N/A", "n/a", "nan", "NaN", "-nan", "-NaN", "NULL", "null", "None", "#N/A", "#NA", "<NA>"]
_FOUND = (pa.int64(), pa.float64(), pa.bool_())  # the first that every value fits


@dataclass(frozen=True)
class CsvRows:
    """See :class:`lifecycle.data.dataset.Rows`.

    Attributes:
        text: The same rows in a Parquet file of our own, all columns as text.
        expected: Types to prefer where every value fits: those of the reference, because CSV has none.
    """

    files: Files
    text: ParquetRows
    expected: Mapping[str, pa.DataType]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.text.count

    @cached_property
    def types(self) -> Mapping[str, pa.DataType]:
        """Found from all values of each column."""
        return {name: self._typed(name, self._text_of(name)).type for name in self.text.types}

    @cached_property
    def fingerprint(self) -> str:
        """Of the files' bytes."""
        digest = self.files.fingerprint()
        self.files.check_unchanged()
        return digest

    def column(self, name: str) -> pd.Series[Any]:
        """Converted as a whole."""
        return as_series(self._typed(name, self._text_of(name)), name)

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """Types are those of all rows, not of the sample."""
        texts = self.text.sample(size, seed)
        arrays = {name: pa.chunked_array([pa.array(texts[name], pa.string())]) for name in texts}
        return pd.DataFrame({n: as_series(_cast(a, self.types[n]) or a, n) for n, a in arrays.items()})

    def _text_of(self, name: str) -> pa.ChunkedArray:
        return pa.parquet.read_table(self.text.files.paths[0], columns=[name]).column(0)

    def _typed(self, name: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
        wanted = [self.expected[name]] if name in self.expected else []
        for kind in (*wanted, *_FOUND):
            if (typed := _cast(text, kind)) is not None:
                return typed
        return text


def read_csv(files: Files, source: str, expected: Mapping[str, pa.DataType], folder: Path) -> CsvRows:
    """Copy the files' rows to one Parquet file below ``folder``, a block at a time.

    Raises:
        UsageError: not CSV, or files with other columns.
    """
    names = _header(files.paths[0], source)
    check_columns(names, source)
    copy = folder / "rows.parquet"
    schema = pa.schema([(name, pa.string()) for name in names])
    with pa.parquet.ParquetWriter(copy, schema, compression="lz4") as writer:
        for path in files.paths:
            if (found := _header(path, source)) != names:
                differing = sorted(set(found) ^ set(names)) or found
                raise UsageError(
                    f"{source}: {path.name} and {files.paths[0].name} do not have the same columns in the same "
                    f"order (see {differing[0]!r})"
                )
            for batch in _batches(path, schema, source):
                writer.write_batch(batch)
    files.check_unchanged()
    return CsvRows(files, ParquetRows(find_files(str(copy)), source), expected)


def _header(path: Path, source: str) -> list[str]:
    # Only as text: what the first block looks like says nothing of the rest.
    try:
        with path.open("rb") as file:
            line = file.readline()
            while not line.strip() and line:
                line = file.readline()
        return list(pa.csv.read_csv(pa.BufferReader(line)).schema.names)
    except (pa.ArrowException, OSError) as exc:
        raise UsageError(f"{source}: not a readable csv file ({type(exc).__name__})") from exc


def _batches(path: Path, schema: pa.Schema, source: str) -> Iterator[pa.RecordBatch]:
    try:
        yield from pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(block_size=16 << 20),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={field.name: field.type for field in schema},
                null_values=_NULLS,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as exc:  # its text quotes the row
        raise UsageError(f"{source}: not a readable csv file ({type(exc).__name__})") from exc


def _cast(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """The column in another type, or None if one value does not fit."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return text
    try:
        if pa.types.is_dictionary(kind):
            return text.cast(kind.value_type).dictionary_encode()
        return pc.cast(pc.utf8_trim_whitespace(text), kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
