"""Alembic's migration script. Connection, lock and transaction come from ``upgrade.py``."""

from __future__ import annotations

from alembic import context

from lifecycle.promotion.database import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
