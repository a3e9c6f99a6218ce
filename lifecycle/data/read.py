"""Rows from wherever a source says."""

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
    """Rows from Parquet or CSV files or a database.

    Args:
        source: A file, a directory, a glob, or ``URL::SELECT …`` with a SQLAlchemy URL.
        label: Name of the label column; rows without it are unlabelled, which is fine.
        expected: Gives types for the columns of CSV files, which have none; taken where every value fits.

    Raises:
        NotFound: nothing there.
        UsageError: it cannot be read, or has columns that cannot be told apart.
        Unavailable: the database does not answer.
    """
    from lifecycle.data.sql import split_query, without_secrets

    query = split_query(source)
    rows = _of_query(*query) if query else _of_files(source, expected)
    dataset = Dataset(rows, label, without_secrets(*query) if query else source)
    _ = dataset.columns  # what cannot be read is said now and not in the middle of a gate
    return dataset


def check_source(source: str) -> None:
    """Whether something is there to be read. Raises as :func:`read_dataset`; a query is not run."""
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
    """The copy lives as long as its rows do."""
    weakref.finalize(rows, folder.cleanup)
    return rows
