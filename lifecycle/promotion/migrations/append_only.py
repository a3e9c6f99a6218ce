"""Triggers that make a table append-only.

The database's owner can drop them; ``lifecycle audit verify`` finds later changes.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy.exc import DBAPIError

from lifecycle.errors import ConfigError

_SQLITE = """
CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
# INSERT OR REPLACE deletes the row that is in its way, and SQLite runs no trigger for that deletion.
_SQLITE_REPLACE = """
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
WHEN EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid OR {same})
BEGIN SELECT RAISE(ABORT, '{table} is append-only, and has such a row'); END
"""
_POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION lifecycle_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only', ERRCODE = 'restrict_violation'; END $$
"""
_POSTGRESQL = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION lifecycle_append_only()
"""
_MYSQL = """
CREATE TRIGGER {table}_no_{event} BEFORE {event} ON {table} FOR EACH ROW
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{table} is append-only'
"""
_MYSQL_FORBIDS = ((1419,), (1142,), (1227,))
"""Error numbers: binary logging without SUPER, no TRIGGER privilege, another privilege is missing."""


def make_append_only(table: str, unique: tuple[tuple[str, ...], ...]) -> None:
    """Create the triggers of a table, replacing existing ones.

    Args:
        unique: The columns of each unique key.
    """
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        _run(_POSTGRESQL_FUNCTION)
        _run(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")
        _run(_POSTGRESQL.format(table=table))
        return
    for event in ("update", "delete"):
        _run(f"DROP TRIGGER IF EXISTS {table}_no_{event}")
        _run((_SQLITE if dialect == "sqlite" else _MYSQL).format(table=table, event=event))
    if dialect == "sqlite":
        same = " OR ".join(f"({' AND '.join(f'{c} = NEW.{c}' for c in columns)})" for columns in unique)
        _run(f"DROP TRIGGER IF EXISTS {table}_no_replace")
        _run(_SQLITE_REPLACE.format(table=table, same=same))


def drop_function() -> None:
    """Drop the function that stays when tables and triggers are dropped."""
    if op.get_bind().dialect.name == "postgresql":
        _run("DROP FUNCTION IF EXISTS lifecycle_append_only()")


def _run(statement: str) -> None:
    try:
        op.get_bind().exec_driver_sql(statement)
    except DBAPIError as exc:
        if exc.orig is not None and exc.orig.args[:1] in _MYSQL_FORBIDS:
            raise ConfigError(
                "MySQL lets this user create no triggers, which keep the ledger append-only. Grant it TRIGGER, "
                "and where binary logging is on set log_bin_trust_function_creators = 1"
            ) from exc
        raise
