"""Reads rows from a file, directory, glob or query, and finds the files that are meant and their fingerprint."""

from __future__ import annotations

import glob
import hashlib
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.data.dataset import Dataset, Rows
from lifecycle.errors import NotFound, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one kind, sorted by name, with their state when they were found."""

    paths: tuple[Path, ...]
    base: Path | None
    """The directory that was named: ``month=7/`` below it is a column. None for a file or a glob."""
    seen: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, paths: Sequence[Path], base: Path | None) -> Files:
        """Files with their current state. Raises UsageError if one of them is empty or cannot be read."""
        return cls(tuple(paths), base, tuple(_identity(path) for path in paths))

    @property
    def kind(self) -> str:
        """Kind of the files: ``.parquet`` or ``.csv``."""
        return self.paths[0].suffix.lower()

    def fingerprint(self) -> str:
        """sha256 of the bytes of one file; for several, of their names and sha256s."""
        digests = [_sha256(path) for path in self.paths]
        if self.base is None and len(digests) == 1:
            return digests[0]
        names = [str(path.relative_to(self.base)) if self.base else path.name for path in self.paths]
        listed = "".join(f"{name}\0{digest}\n" for name, digest in zip(names, digests, strict=True))
        return hashlib.sha256(listed.encode()).hexdigest()

    def check_unchanged(self) -> None:
        """Raise UsageError if a file has changed since it was found."""
        for path, before in zip(self.paths, self.seen, strict=True):
            if _identity(path) != before:
                raise UsageError(f"{path}: changed while it was being read; run it again")


def find_files(source: str) -> Files:
    """The data files that ``source`` means.

    Args:
        source: A ``.parquet`` or ``.csv`` file, a directory with files of one of these kinds at any depth, or
            a glob. Names that begin with ``.`` or ``_`` are other tools' marker files and are ignored.

    Raises:
        NotFound: there is no such file.
        UsageError: unknown or several kinds of file, an empty or unreadable one.
    """
    path = Path(source)
    if path.is_dir():
        named = [(p, p.relative_to(path).parts) for p in path.rglob("*") if p.suffix.lower() in KINDS]
        found = [p for p, parts in named if not any(part.startswith((".", "_")) for part in parts)]
    elif path.exists():
        found = [path]
    elif glob.has_magic(source):
        found = [p for name in glob.glob(source, recursive=True) if (p := Path(name)).is_file()]  # noqa: PTH207  # absolute patterns too
    else:
        raise NotFound(f"{source}: no such file")
    if not found:
        raise NotFound(f"{source}: no {' or '.join(KINDS)} file there")
    kinds = {p.suffix.lower() for p in found}
    unknown = sorted(kinds - set(KINDS))
    if unknown:
        raise UsageError(f"{source}: unknown kind of file {unknown[0]!r}; known: {', '.join(KINDS)}")
    if len(kinds) > 1:
        raise UsageError(f"{source}: holds {' and '.join(sorted(kinds))} files; name those of one kind")
    return Files.of(sorted(found), path if path.is_dir() else None)


def _identity(path: Path) -> tuple[int, int, int]:
    try:
        stat = path.stat()
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc
    if not stat.st_size:
        raise UsageError(f"{path}: the file is empty")
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise UsageError(f"{path}: cannot be read ({exc.strerror})") from exc


Types = Mapping[str, "pa.DataType"]


def read_dataset(source: str, label: str | None, expected: Callable[[], Types] = dict) -> Dataset:
    """Read rows from Parquet or CSV files or a database.

    Args:
        source: A file, a directory, a glob, or ``URL::SELECT …`` with a SQLAlchemy URL.
        label: Name of the label column; rows without it are unlabelled.
        expected: Types for columns of CSV files, used if every value fits.

    Raises:
        NotFound: there is no such file.
        UsageError: it cannot be read, or two columns have the same name.
        Unavailable: the database does not answer.
    """
    from lifecycle.data.sql import read_query, split_query, without_secrets

    query = split_query(source)
    rows = _copied(partial(read_query, *query)) if query else _of_files(source, expected)
    dataset = Dataset(rows, label, without_secrets(*query) if query else source)
    _ = dataset.columns  # unreadable data is reported now, not in the middle of a gate
    return dataset


def check_source(source: str) -> None:
    """Check that a source can be read, without running a query. Raises as :func:`read_dataset`."""
    from lifecycle.data.sql import engine_for, split_query

    query = split_query(source)
    if query:
        engine_for(*query)
    elif find_files(source).kind == ".parquet":
        read_dataset(source, None)


def _of_files(source: str, expected: Callable[[], Types]) -> Rows:
    from lifecycle.data.parquet import ParquetRows, read_csv

    files = find_files(source)
    if files.kind == ".parquet":
        return ParquetRows(files, source)
    return _copied(partial(read_csv, files, source, expected()))


def _copied(copy: Callable[[Path], Rows]) -> Rows:
    """Rows that are copied to a folder, which lives as long as they do."""
    folder = tempfile.TemporaryDirectory(prefix="lifecycle-rows-")
    rows = copy(Path(folder.name))
    weakref.finalize(rows, folder.cleanup)
    return rows
