"""The guard's own tables, beside MLflow's in the same database, so that one transaction covers both.

Ledger and evidence are append-only: triggers refuse everything but an insert (``migrations/append_only.py``).
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.exc import OperationalError, ProgrammingError

from lifecycle.domain.text import sha256_of

METADATA = MetaData()

EVIDENCE = Table(
    "lifecycle_evidence",
    METADATA,
    Column("id", Integer, primary_key=True, comment="Order of arrival."),
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(50), nullable=False, comment="The policy's word."),
    Column("evidence_id", String(16), nullable=False),
    Column("signed", Text, nullable=False, comment="Compact JWS; verified on the way in and at each use."),
    Column("received_from", String(256), nullable=False, comment="As the server authenticated them."),
    UniqueConstraint("model_uid", "version", "stage", "evidence_id", name="lifecycle_evidence_once"),
)

LEDGER = Table(
    "lifecycle_ledger",
    METADATA,
    Column("model_uid", String(64), nullable=False),
    Column("sequence", Integer, nullable=False, autoincrement=False),
    Column("action", String(16), nullable=False, comment="As in entry, to find it by."),
    Column("version", Integer, nullable=False, comment="As in entry, to find it by."),
    Column("request_key", String(128), nullable=True, comment="As in entry, to find it by."),
    Column("entry", Text, nullable=False, comment="LedgerEntry.as_dict() as canonical JSON."),
    PrimaryKeyConstraint("model_uid", "sequence", name="lifecycle_ledger_pk"),
    Index("lifecycle_ledger_action", "model_uid", "action"),
    Index("lifecycle_ledger_version", "model_uid", "version"),
    UniqueConstraint("model_uid", "request_key", name="lifecycle_ledger_request_once"),
)

HEADS = Table(
    "lifecycle_heads",
    METADATA,
    Column("model_uid", String(64), primary_key=True),
    Column("model", String(256), nullable=False, comment="Its name when the entry was written."),
    Column(
        "sequence", Integer, nullable=False, comment="Of the newest entry: an entry that is cut off is missed."
    ),
    Column("hash", String(64), nullable=False),
)

AUTHORS = Table(
    "lifecycle_authors",
    METADATA,
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False, autoincrement=False),
    Column("author", String(256), nullable=False, comment="Who registered it, as the server authenticated them."),
    PrimaryKeyConstraint("model_uid", "version", name="lifecycle_authors_pk"),
)

QUEUE = Table(
    "lifecycle_queue",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(50), nullable=False, comment="The policy's word."),
    Column("actor", String(256), nullable=False, comment="Whose refused promotion queued it."),
    Column("request", Text, nullable=False, comment="PromotionRequest.to_json()."),
    Column("queued_at", DateTime, nullable=False, comment="UTC."),
    Column("worker", String(128), nullable=True, comment="Who runs the gates, until leased_until (UTC)."),
    Column("leased_until", DateTime, nullable=True),
    Column("starts", Integer, nullable=False, default=0, comment="How often a worker has begun."),
    Column("finished_at", DateTime, nullable=True, comment="UTC; when its evidence came in, or it was given up."),
    Index("lifecycle_queue_version", "model_uid", "version", "stage"),
)


REVISION = "0001"
"""The newest migration in ``migrations/versions``, which these tables correspond to."""

VERSION_TABLE = "lifecycle_alembic_version"
_VERSION = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


def create_tables(engine: Engine) -> None:
    """Create or upgrade the guard's tables for this release.

    Takes one select if there is nothing to do. Several server workers may call it at once.

    Raises:
        ConfigError: a newer release has upgraded them.
        Unavailable: another process has been upgrading them for too long.
    """
    if _revision(engine) != REVISION:
        from lifecycle.promotion.migrations.upgrade import upgrade

        upgrade(engine)


def model_uid(workspace: str, name: str, creation_time_ms: int) -> str:
    """Key of a model's evidence and ledger; a model that is created again gets another one."""
    return sha256_of([workspace, name, creation_time_ms])


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        try:
            return connection.execute(select(_VERSION.c.version_num)).scalar()
        except (OperationalError, ProgrammingError):  # no such table, most likely; an upgrade says what else it is
            return None
