"""Rows in Parquet files, one column at a time or a sample in one pass; and CSV files, copied to such files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet

from lifecycle.data.csv import Types, header_of, open_cells
from lifecycle.data.dataset import check_columns, drawn
from lifecycle.data.read import Files
from lifecycle.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


_INDEX = re.compile(r"__index_level_\d+__")  # where pandas stores an unnamed index


@dataclass(frozen=True)
class ParquetRows:
    """Rows of Parquet files. Implements :class:`lifecycle.data.dataset.Rows`.

    Attributes:
        source: Readable name of the source.
        original: The files that ``files`` were copied from; None if they are the originals.
    """

    files: Files
    source: str
    original: Files | None = None

    @cached_property
    def count(self) -> int:
        """Number of rows, from the files' footers."""
        return int(self._dataset.count_rows())

    @cached_property
    def types(self) -> Mapping[str, pa.DataType]:
        """The columns of all files; of numeric types the widest."""
        return {f.name: f.type for f in self._dataset.schema if not _INDEX.fullmatch(f.name)}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the original files' bytes."""
        files = self.original or self.files
        digest = files.fingerprint()
        files.check_unchanged()
        return digest

    def column(self, name: str) -> pd.Series[Any]:
        """One column of all rows; other columns are not read."""
        return as_series(self._read(name), name)

    def sample(self, size: int, seed: int) -> pd.DataFrame:
        """A sample, read column by column, so that only one column is in memory as a whole."""
        import pandas as pd

        wanted = pa.array(drawn(self.count, size, seed))
        return pd.DataFrame({name: as_series(self._read(name).take(wanted), name) for name in self.types})

    def _read(self, name: str) -> pa.ChunkedArray:
        try:
            column = self._dataset.to_table(columns=[name]).column(0)
        except (pa.ArrowException, OSError) as exc:  # their texts may quote rows
            raise UsageError(f"{self.source}: not readable as Parquet ({type(exc).__name__})") from exc
        self.files.check_unchanged()
        return column

    @cached_property
    def _dataset(self) -> pa.dataset.Dataset:
        schemas = {}
        for path in self.files.paths:
            try:
                schemas[path] = pa.parquet.read_schema(path)
            except (pa.ArrowException, OSError) as exc:
                raise UsageError(f"{path}: not a readable parquet file ({type(exc).__name__})") from exc
        schema = one_schema(schemas, self.source)
        check_columns(schema.names, self.source)
        base = str(self.files.base) if self.files.base else None
        opened = partial(
            pa.dataset.dataset,
            [str(path) for path in self.files.paths],
            format="parquet",
            partitioning="hive" if base else None,
            partition_base_dir=base,
        )
        partitions = [field for field in opened().schema if field.name not in schema.names] if base else []
        return opened(schema=pa.schema([*schema, *partitions]))


def one_schema(schemas: Mapping[Path, pa.Schema], source: str) -> pa.Schema:
    """The schema with which all files can be read.

    Raises:
        UsageError: the files have different columns, or a column has incompatible types.
    """
    (first, expected), *others = schemas.items()
    for path, schema in others:
        differing = sorted(set(schema.names) ^ set(expected.names))
        if differing:
            raise UsageError(
                f"{source}: {path.name} and {first.name} do not have the same columns (see {differing[0]!r})"
            )
    try:
        return pa.unify_schemas([s.remove_metadata() for s in schemas.values()], promote_options="permissive")
    except (pa.ArrowException, ValueError) as exc:
        path, name = next(
            (path, name)
            for path, schema in others
            for name in expected.names
            if not _agree(schema, expected, name)
        )
        raise UsageError(
            f"{source}: column {name!r} is {schemas[path].field(name).type} in {path.name} and "
            f"{expected.field(name).type} in {first.name}"
        ) from exc


def _agree(one: pa.Schema, other: pa.Schema, name: str) -> bool:
    try:
        pa.unify_schemas([pa.schema([s.field(name)]) for s in (one, other)], promote_options="permissive")
    except (pa.ArrowException, ValueError):
        return False
    return True


def as_series(column: pa.ChunkedArray, name: str) -> pd.Series[Any]:
    """A column as pandas has it; decimals become numbers and dates datetimes, not objects."""
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    series: pd.Series[Any] = column.to_pandas(date_as_object=False)
    series.name = name
    return series


_FOUND = (pa.int64(), pa.float64(), pa.bool_())  # the first one that fits every value
_NATIVE = {pa.int64(), pa.float64(), pa.string()}


def read_csv(files: Files, source: str, expected: Types, folder: Path) -> ParquetRows:
    """Copy CSV files to typed Parquet files below ``folder``, a few megabytes at a time.

    Args:
        expected: Types to use if every value of a column fits: those of the reference, as CSV has no types.

    Raises:
        UsageError: not CSV, or files with other columns.
    """
    try:
        names = header_of(files.paths[0])
        for path in files.paths[1:]:
            if (found := header_of(path)) != names:
                differing = sorted(set(found) ^ set(names)) or found
                raise UsageError(
                    f"{source}: {path.name} and {files.paths[0].name} do not have the same columns in the same "
                    f"order (see {differing[0]!r})"
                )
        check_columns(names, source)
        candidates = {name: [*([expected[name]] if name in expected else ()), *_FOUND] for name in names}
        try:
            copies = _copy(files, _types(files.paths, candidates, whole=False), folder)
        except pa.ArrowInvalid:  # a later value does not fit the type of the first rows
            copies = _copy(files, _types(files.paths, candidates, whole=True), folder)
    except (pa.ArrowException, OSError) as exc:
        raise UsageError(f"{source}: not a readable csv file ({type(exc).__name__})") from exc
    files.check_unchanged()
    return ParquetRows(copies, source, original=files)


def _types(paths: Sequence[Path], candidates: Mapping[str, Sequence[pa.DataType]], *, whole: bool) -> Types:
    """The first type that fits every value of a column: of all rows, or of the first few megabytes."""
    fitting = {name: list(types) for name, types in candidates.items()}
    for path in paths if whole else paths[:1]:
        for batch in open_cells(path, dict.fromkeys(fitting, pa.string())):
            for name, types in fitting.items():
                fitting[name] = [kind for kind in types if _fits(batch.column(name), kind)]
            if not whole:
                break
    return {name: _stored(types[0]) if types else pa.string() for name, types in fitting.items()}


def _stored(kind: pa.DataType) -> pa.DataType:
    """The type to store: dictionaries and other kinds of text become plain text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def _copy(files: Files, types: Types, folder: Path) -> Files:
    """The same rows as Parquet, in files and folders of the same names."""
    copies = [
        folder / (path.relative_to(files.base) if files.base else f"{i:06}") for i, path in enumerate(files.paths)
    ]
    schema = pa.schema(list(types.items()))
    native = {name: kind if kind in _NATIVE else pa.string() for name, kind in types.items()}
    for path, copy in zip(files.paths, copies, strict=True):
        copy.parent.mkdir(parents=True, exist_ok=True)
        with pa.parquet.ParquetWriter(copy, schema, compression="lz4") as writer:
            for batch in open_cells(path, native):
                cells = [_cast(batch.column(field.name), field.type) for field in schema]
                writer.write_batch(pa.record_batch(cells, schema=schema))
    return Files.of(copies, folder if files.base else None)


def _fits(text: pa.Array, kind: pa.DataType) -> bool:
    try:
        _cast(text, _stored(kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    return values if values.type == kind else pc.cast(pc.utf8_trim_whitespace(values), kind)
