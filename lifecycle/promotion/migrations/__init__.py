"""Migrations of the guard's tables: alembic's scripts, and how they are run."""
