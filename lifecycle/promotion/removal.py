"""The guard leaves a registry: its ledger goes into a file, its tables away, and MLflow's stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from lifecycle.durable import writing_durably
from lifecycle.errors import Conflict, Unavailable
from lifecycle.promotion.audit.export import as_jsonl, records
from lifecycle.promotion.migrations.upgrade import alone, check_current, remove
from lifecycle.promotion.tables import EVIDENCE, HEADS, LEDGER


@dataclass
class Removed:
    """What went into the file before it went away: how many records of which kind."""

    counts: dict[str, int] = field(default_factory=dict)

    def counted(self, lines: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
        """The records, counted as they pass."""
        for line in lines:
            self.counts[line["kind"]] = self.counts.get(line["kind"], 0) + 1
            yield line


def remove_guard(engine: Engine, export: Path) -> Removed:
    """Write ledger and evidence to a file; when that is on the disk, remove everything of the guard's.

    Nobody can write in between, but on MySQL, which commits as it drops: stop the servers first.

    Raises:
        Conflict: the file is there already.
        Unavailable: it could not be written; nothing was removed.
        NotFound, ConfigError: there is no guard, or one of a newer release.
    """
    if export.exists():
        raise Conflict(f"{export} is there already; choose another file with --export")
    removed = Removed()
    with alone(engine) as connection:
        check_current(connection)
        _keep_writers_out(connection)
        try:
            with writing_durably(export) as file:
                for line in as_jsonl(removed.counted(records(connection, None, with_evidence=True))):
                    file.write(line)
        except OSError as exc:
            raise Unavailable(f"{export}: cannot be written ({exc.strerror}), so nothing was removed") from exc
        remove(connection)
    return removed


def _keep_writers_out(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        tables = ", ".join(table.name for table in (LEDGER, EVIDENCE, HEADS))
        connection.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
