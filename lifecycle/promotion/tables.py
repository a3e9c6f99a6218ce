"""The guard's own tables, beside MLflow's in the same database, so that one transaction covers both."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateTable

from lifecycle.domain.canonical import sha256_of

_METADATA = MetaData()

EVIDENCE = Table(
    "lifecycle_evidence",
    _METADATA,
    Column("id", Integer, primary_key=True, comment="Order of arrival."),
    Column("model_uid", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String(250), nullable=False, comment="The policy's word."),
    Column("evidence_id", String(16), nullable=False),
    Column("record", Text, nullable=False, comment="Evidence.to_json()."),
    Column("received_from", String(256), nullable=False, comment="As the server authenticated them."),
    UniqueConstraint("model_uid", "version", "stage", "evidence_id", name="lifecycle_evidence_once"),
)

LEDGER = Table(
    "lifecycle_ledger",
    _METADATA,
    Column("model_uid", String(64), nullable=False),
    Column("sequence", Integer, nullable=False, autoincrement=False),
    Column("entry", Text, nullable=False, comment="LedgerEntry.as_dict() as canonical JSON."),
    PrimaryKeyConstraint("model_uid", "sequence", name="lifecycle_ledger_pk"),
)


def create_tables(engine: Engine) -> None:
    """Create what is missing. Several server workers may do so at once."""
    with engine.begin() as connection:
        for table in _METADATA.sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))


def model_uid(workspace: str, name: str, creation_time_ms: int) -> str:
    """What evidence and ledger are keyed by: a model that was deleted and made again inherits nothing."""
    return sha256_of([workspace, name, creation_time_ms])
