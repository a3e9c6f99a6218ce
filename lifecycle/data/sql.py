"""Rows of a query, copied to Parquet as they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from lifecycle.data.dataset import check_columns
from lifecycle.data.parquet import ParquetRows
from lifecycle.data.read import find_files
from lifecycle.errors import Unavailable, UsageError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_URL = r"(?P<url>(?:[a-z][a-z0-9+]*://|\$\{\w+\}).*?)"
_QUERY = re.compile(rf"^{_URL}::\s*(?P<query>(?:select|with|values|table)\b.*)$", re.I | re.S)
_ROWS = 50_000


def split_query(source: str) -> tuple[str, str] | None:
    """URL and query of ``URL::SELECT …``; None for any other source."""
    match = _QUERY.match(source)
    return (match["url"], match["query"]) if match else None


def without_secrets(url: str, query: str) -> str:
    """Readable source: without passwords, and with environment variables by name."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        shown = url if _VARIABLE.fullmatch(url) else "the database"
    return f"{shown}::{' '.join(query.split())}"


def read_query(url: str, query: str, folder: Path) -> ParquetRows:
    """Run a query and store its rows below ``folder``.

    Args:
        url: A SQLAlchemy URL. ``${NAME}`` in it is taken from the environment, which is where
            passwords belong.

    Raises:
        UsageError: no such driver, or the database refuses the query.
        Unavailable: the database does not answer.
    """
    source = without_secrets(url, query)
    engine = engine_for(url, query)
    try:
        with _connected(engine, source) as connection:
            result = connection.execute(text(query))
            names = list(result.keys())
            check_columns(names, source)
            _write_parts(names, result.partitions(_ROWS), folder)
    except SQLAlchemyError as exc:  # its text quotes values
        raise UsageError(f"{source}: the database refused it ({type(exc).__name__})") from exc
    finally:
        engine.dispose()
    return ParquetRows(find_files(str(folder / "part-*.parquet")), source)


def _connected(engine: Engine, source: str) -> Connection:
    try:
        return engine.connect().execution_options(stream_results=True, yield_per=_ROWS)
    except SQLAlchemyError as exc:
        raise Unavailable(f"{source}: the database does not answer ({type(exc).__name__})") from exc


def engine_for(url: str, query: str) -> Engine:
    """The database's engine, not connected yet. Raises UsageError as :func:`read_query`."""
    source = without_secrets(url, query)
    unset = [name for name in _VARIABLE.findall(url) if name not in os.environ]
    if unset:
        raise UsageError(f"{source}: the environment variable {unset[0]} is not set")
    try:
        return create_engine(make_url(os.path.expandvars(url)))
    except (ArgumentError, NoSuchModuleError) as exc:
        raise UsageError(f"{source}: not a database that SQLAlchemy knows ({type(exc).__name__})") from exc
    except ImportError as exc:
        raise UsageError(f"{source}: its driver is not installed: pip install {exc.name}") from exc


def _write_parts(names: Sequence[str], partitions: Iterable[Sequence[Any]], folder: Path) -> None:
    """Each part has its own types; they are unified when the rows are read."""
    written = 0
    for rows in partitions:
        columns = [_array(values) for values in zip(*rows, strict=True)]
        _write(pa.table(dict(zip(names, columns, strict=True))), folder, written)
        written += 1
    if not written:
        _write(pa.table({name: pa.array([], pa.null()) for name in names}), folder, 0)


def _write(table: pa.Table, folder: Path, number: int) -> None:
    pa.parquet.write_table(table, folder / f"part-{number:06}.parquet")


def _array(values: Sequence[Any]) -> pa.Array:
    return pa.array([float(v) if isinstance(v, Decimal) else v for v in values])
