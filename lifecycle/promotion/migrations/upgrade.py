"""Upgrades or removes the guard's tables, one process at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select, text

from lifecycle.errors import ConfigError, NotFound, Unavailable
from lifecycle.promotion.database import METADATA, REVISION, VERSION_TABLE, shown

_PATIENCE_S = 60
_LOCK_NAME = "mlflow-lifecycle tables"
_ALEMBIC = threading.Lock()
"""Alembic keeps what it works on in module globals."""


def upgrade(engine: Engine) -> None:
    """Run the migrations that the database lacks.

    Raises:
        ConfigError: it has one that this release does not know.
        Unavailable: another process has been upgrading it for a minute.
    """
    with alone(engine) as connection:
        config = _config(connection)
        _check_known(revision_of(connection), config)
        with _ALEMBIC:
            command.upgrade(config, "head")


def remove(connection: Connection) -> None:
    """Drop the tables with their content, the triggers and the version table.

    Raises:
        ConfigError: a newer release has upgraded them.
    """
    config = _config(connection)
    _check_known(revision_of(connection), config)
    with _ALEMBIC:
        command.downgrade(config, "base")
    connection.execute(text(f"DROP TABLE IF EXISTS {VERSION_TABLE}"))


def revision_of(connection: Connection) -> str | None:
    """The newest migration of the database; None if the guard was never installed."""
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def has_tables(connection: Connection) -> bool:
    """Whether any table of the guard exists."""
    ours = {VERSION_TABLE, *METADATA.tables}
    return not ours.isdisjoint(inspect(connection).get_table_names())


def check_current(connection: Connection) -> None:
    """Check that the tables are those of this release.

    Raises:
        NotFound: the guard was never installed.
        ConfigError: they are those of another release.
    """
    revision = revision_of(connection)
    database = shown(connection.engine.url)
    if revision is None:
        raise NotFound(f"{database} has no guard, and so no ledger. Run: lifecycle db upgrade, with its URI")
    _check_known(revision, _config(connection))
    if revision != REVISION:
        raise ConfigError(f"the guard's tables in {database} are of an older release. Run: lifecycle db upgrade")


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A transaction with an exclusive lock on migrations of the database.

    The lock is the database's own, because servers are on several machines: the file's on SQLite, where it keeps
    every writer out, an advisory one on PostgreSQL and MySQL. There and on SQLite a migration happens whole or not
    at all; MySQL commits each statement by itself, so the scripts there go on where one was cut short.

    Raises:
        Unavailable: MySQL's lock was not available within a minute.
    """
    with engine.connect() as connection:
        try:
            with connection.begin():
                _lock(connection)
                yield connection
        finally:
            if connection.dialect.name == "mysql":  # its lock outlives the transaction, now over
                connection.execute(select(func.release_lock(_lock_name(connection))))


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_PATIENCE_S * 1000}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(_LOCK_NAME.encode()).digest()[:8], signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(number)))
    elif connection.execute(select(func.get_lock(_lock_name(connection), _PATIENCE_S))).scalar() != 1:
        raise Unavailable(f"another server has been upgrading this database for {_PATIENCE_S} s; try again")


def _lock_name(connection: Connection) -> str:
    """MySQL's locks are the whole server's, and their names have 64 characters."""
    database = connection.engine.url.database or ""
    return hashlib.sha256(f"{_LOCK_NAME} {database}".encode()).hexdigest()


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _check_known(revision: str | None, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise ConfigError(
            f"this database was upgraded by a newer mlflow-lifecycle: its tables are at revision {revision[:32]}, "
            f"and this one knows {REVISION} as the newest. Upgrade mlflow-lifecycle here"
        )
