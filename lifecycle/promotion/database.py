"""A registry's database, opened by its URI for administration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError, NoSuchModuleError

from lifecycle.errors import ConfigError, NotFound, Unavailable, UsageError

_SCHEME = "lifecycle+"
_DIALECTS = ("sqlite", "postgresql", "mysql")
_BUSY_MS = 20_000  # as MLflow waits for SQLite's lock
_FORMS = "sqlite:///mlflow.db, postgresql://USER@HOST/NAME or mysql+pymysql://USER@HOST/NAME"


def parse_uri(uri: str) -> URL:
    """Parse a database's URI, with or without ``lifecycle+`` before it.

    Raises:
        UsageError: not a URI, or a kind of database that the guard does not support.
    """
    try:
        url = make_url(uri.removeprefix(_SCHEME))
    except (ArgumentError, ValueError):
        raise UsageError(f"that is no database's URI; write {_FORMS}") from None
    if url.get_backend_name() not in _DIALECTS:
        raise UsageError(f"{url.drivername}: is no database that has a guard; write {_FORMS}")
    return url


def shown(url: URL) -> str:
    """The URI without its password."""
    return url.render_as_string(hide_password=True)


@contextmanager
def open_database(uri: str) -> Iterator[Engine]:
    """Connect to an existing database.

    Raises:
        UsageError, ConfigError: the URI is wrong, or its driver is not installed.
        NotFound: there is no such SQLite file, or it is not a database.
        Unavailable: the database does not answer, also later in the block.
    """
    url = parse_uri(uri)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise NotFound(
            f"{shown(url)}: no such file. Three slashes come before a relative path, four before others"
        )
    engine = _engine(url)
    try:
        with engine.connect():
            pass
        yield engine
    except IntegrityError:
        raise
    except (DatabaseError, InterfaceError) as exc:
        why = (str(exc.orig).strip() or repr(exc.orig)).splitlines()[0]
        raise Unavailable(f"{shown(url)} does not answer as it should: {why}") from exc
    finally:
        engine.dispose()


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """A connection with a consistent view of the database for the whole block, which writes nothing.

    On SQLite (except in WAL mode) writers wait for its end; elsewhere they do not.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection
        connection.rollback()


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url)
    except NoSuchModuleError:
        raise UsageError(f"{url.drivername}: unknown driver; write {_FORMS}") from None
    except ModuleNotFoundError as exc:
        extra = url.get_backend_name()
        raise ConfigError(
            f"{url.drivername} needs the Python package {exc.name}, which is not installed. "
            f"Run: pip install 'mlflow-lifecycle[{extra}]', and write {_FORMS}"
        ) from None
    if url.get_backend_name() == "sqlite":
        patience = f"PRAGMA busy_timeout = {_BUSY_MS}"
        event.listen(engine, "connect", lambda connection, _record: connection.execute(patience))
    return engine
