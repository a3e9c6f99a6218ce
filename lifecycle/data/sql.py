"""Rows of a query, copied to Parquet as they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from sqlalchemy import Engine, create_engine, make_url, text
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
        try:
            connected = engine.connect().execution_options(stream_results=True, yield_per=_ROWS)
        except SQLAlchemyError as exc:
            message = f"{source}: the database does not answer ({type(exc).__name__})"
            raise Unavailable(message) from exc
        with connected as connection:
            result = connection.execute(text(query))
            names = list(result.keys())
            check_columns(names, source)
            _write_parts(names, result.partitions(_ROWS), folder)
    except SQLAlchemyError as exc:  # its text quotes values
        raise UsageError(f"{source}: the database refused it ({type(exc).__name__})") from exc
    finally:
        engine.dispose()
    return ParquetRows(find_files(str(folder / "part-*.parquet")), source)


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
    """Each part has its own types; they are unified when the rows are read. Without rows there is one part."""
    empty = [pa.array([], pa.null()) for _ in names]
    parts = ([_array(values) for values in zip(*rows, strict=True)] for rows in partitions)
    first = next(parts, empty)
    for number, columns in enumerate(chain([first], parts)):
        table = pa.table(dict(zip(names, columns, strict=True)))
        pa.parquet.write_table(table, folder / f"part-{number:06}.parquet")


def _array(values: Sequence[Any]) -> pa.Array:
    return pa.array([float(v) if isinstance(v, Decimal) else v for v in values])
