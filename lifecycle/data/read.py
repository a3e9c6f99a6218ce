"""Reads rows from a file, directory, glob or query."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.data.dataset import Dataset, Rows
from lifecycle.data.files import find_files

if TYPE_CHECKING:
    import pyarrow as pa

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
    from lifecycle.data.sql import split_query, without_secrets

    query = split_query(source)
    rows = _of_query(*query) if query else _of_files(source, expected)
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
    files = find_files(source)
    if files.kind == ".parquet":
        from lifecycle.data.parquet import ParquetRows

        return ParquetRows(files, source)
    from lifecycle.data.csv_files import read_csv

    folder = tempfile.TemporaryDirectory(prefix="lifecycle-rows-")
    return _kept(read_csv(files, source, expected(), Path(folder.name)), folder)


def _of_query(url: str, query: str) -> Rows:
    from lifecycle.data.sql import read_query

    folder = tempfile.TemporaryDirectory(prefix="lifecycle-rows-")
    return _kept(read_query(url, query, Path(folder.name)), folder)


def _kept(rows: Rows, folder: tempfile.TemporaryDirectory[str]) -> Rows:
    """A copy that lives as long as its rows."""
    weakref.finalize(rows, folder.cleanup)
    return rows
