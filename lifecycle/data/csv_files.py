"""CSV files for gates: copied once to typed Parquet files, with each column's type taken from all of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from lifecycle.data.csv import Types, header_of, open_cells
from lifecycle.data.dataset import check_columns
from lifecycle.data.parquet import ParquetRows
from lifecycle.data.read import Files
from lifecycle.errors import UsageError

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
