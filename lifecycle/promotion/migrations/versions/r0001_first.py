"""The tables of the first release, and the triggers that make some of them append-only.

The database's owner can drop the triggers; ``lifecycle audit verify`` finds later changes.
"""

from __future__ import annotations

import sqlalchemy as sa
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


revision = "0001"
down_revision = None

_TABLES = ("lifecycle_evidence", "lifecycle_ledger", "lifecycle_heads", "lifecycle_authors", "lifecycle_queue")


def upgrade() -> None:
    """Make what is missing: MySQL may have been stopped half-way."""
    _evidence()
    _ledger()
    _heads()
    _authors()
    _queue()
    make_append_only("lifecycle_evidence", (("model_uid", "version", "stage", "evidence_id"),))
    make_append_only("lifecycle_ledger", (("model_uid", "sequence"), ("model_uid", "request_key")))


def downgrade() -> None:
    """Take everything away. A table takes its triggers and indexes with it."""
    for table in _TABLES:
        op.drop_table(table, if_exists=True)
    if op.get_bind().dialect.name == "postgresql":  # its function stays when tables and triggers are dropped
        _run("DROP FUNCTION IF EXISTS lifecycle_append_only()")


def _evidence() -> None:
    _table(
        "lifecycle_evidence",
        sa.Column("id", sa.Integer, primary_key=True, comment="Order of arrival."),
        sa.Column("model_uid", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(50), nullable=False, comment="The policy's word."),
        sa.Column("evidence_id", sa.String(16), nullable=False),
        sa.Column(
            "signed", sa.Text, nullable=False, comment="Compact JWS; verified on the way in and at each use."
        ),
        sa.Column("received_from", sa.String(256), nullable=False, comment="As the server authenticated them."),
        sa.UniqueConstraint("model_uid", "version", "stage", "evidence_id", name="lifecycle_evidence_once"),
    )


def _ledger() -> None:
    _table(
        "lifecycle_ledger",
        sa.Column("model_uid", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("action", sa.String(16), nullable=False, comment="As in entry, to find it by."),
        sa.Column("version", sa.Integer, nullable=False, comment="As in entry, to find it by."),
        sa.Column("request_key", sa.String(128), nullable=True, comment="As in entry, to find it by."),
        sa.Column("entry", sa.Text, nullable=False, comment="LedgerEntry.as_dict() as canonical JSON."),
        sa.PrimaryKeyConstraint("model_uid", "sequence", name="lifecycle_ledger_pk"),
        sa.UniqueConstraint("model_uid", "request_key", name="lifecycle_ledger_request_once"),
    )
    _index("lifecycle_ledger_action", "lifecycle_ledger", "model_uid", "action")
    _index("lifecycle_ledger_version", "lifecycle_ledger", "model_uid", "version")


def _heads() -> None:
    missed = "Of the newest entry: an entry that is cut off is missed."
    _table(
        "lifecycle_heads",
        sa.Column("model_uid", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(256), nullable=False, comment="Its name when the entry was written."),
        sa.Column("sequence", sa.Integer, nullable=False, comment=missed),
        sa.Column("hash", sa.String(64), nullable=False),
    )


def _authors() -> None:
    who = "Who registered it, as the server authenticated them."
    _table(
        "lifecycle_authors",
        sa.Column("model_uid", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("author", sa.String(256), nullable=False, comment=who),
        sa.PrimaryKeyConstraint("model_uid", "version", name="lifecycle_authors_pk"),
    )


def _queue() -> None:
    starts, finished = "How often a worker has begun.", "UTC; when its evidence came in, or it was given up."
    _table(
        "lifecycle_queue",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model_uid", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(50), nullable=False, comment="The policy's word."),
        sa.Column("actor", sa.String(256), nullable=False, comment="Whose refused promotion queued it."),
        sa.Column("request", sa.Text, nullable=False, comment="PromotionRequest.to_json()."),
        sa.Column("queued_at", sa.DateTime, nullable=False, comment="UTC."),
        sa.Column("worker", sa.String(128), comment="Who runs the gates, until leased_until (UTC)."),
        sa.Column("leased_until", sa.DateTime),
        sa.Column("starts", sa.Integer, nullable=False, comment=starts),
        sa.Column("finished_at", sa.DateTime, comment=finished),
    )
    _index("lifecycle_queue_version", "lifecycle_queue", "model_uid", "version", "stage")


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns))
