"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from lifecycle.promotion.migrations.append_only import drop_function, make_append_only

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
    drop_function()


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
