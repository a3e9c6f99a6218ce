"""Files of captured rows: ``captured/<deployment>/<version>/<time>-<worker>.parquet``; the oldest go first.

A folder holds the rows of one version, as others may have other columns. A gate can read the folder directly.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from lifecycle.durable import writing_durably
from lifecycle.serving.control import Desired
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing.captured_rows import table_of

_LONGEST_WAIT_S = 60.0
_MOST_BYTES = 4 * 2**20
_FILES_IN_BUDGET = 8
_PATTERN = "*/*/*.parquet"


@dataclass
class Group:
    """Captured rows of one version, which become one file."""

    desired: Desired
    since: float
    requests: int = 0
    tables: list[pa.Table] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(table.num_rows for table in self.tables)

    @property
    def size(self) -> int:
        """Bytes in memory; the file is smaller."""
        return sum(table.nbytes for table in self.tables)


class CapturedFiles:
    """The captured files of one worker, used by one thread. Other workers write to the same folder.

    Attributes:
        kept_bytes: Bytes of all workers' files at the last write.
    """

    def __init__(self, folder: Path, worker: int, budget: int) -> None:
        self._folder = folder
        self._worker = worker
        self._groups: dict[tuple[str, int, str], Group] = {}
        self.kept_bytes = _thin_out(folder, budget)

    def add(self, exchanges: Sequence[Exchange], masked: Set[str]) -> None:
        """Add rows that one version answered. Raises as :func:`table_of`."""
        release = exchanges[0].release
        assert release is not None  # noqa: S101  it has answered
        desired = release.desired
        table = table_of(exchanges, release.signature, desired.version, masked)
        key = desired.deployment, desired.version, desired.digest
        group = self._groups.setdefault(key, Group(desired, time.monotonic()))
        group.tables.append(table)
        group.requests += len(exchanges)

    def due(self, budget: int, *, at_once: bool) -> Iterator[Group]:
        """The groups to write now, because they are large or old; with ``at_once`` all of them."""
        most = min(_MOST_BYTES, budget // _FILES_IN_BUDGET)
        for key, group in list(self._groups.items()):
            if at_once or group.size >= most or time.monotonic() - group.since >= _LONGEST_WAIT_S:
                yield self._groups.pop(key)

    def write(self, group: Group, budget: int) -> None:
        """Write one file atomically, then delete old ones down to ``budget`` bytes. Raises OSError."""
        d = group.desired
        folder = self._folder / d.deployment / str(d.version)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        table = pa.concat_tables(group.tables, promote_options="permissive")
        source = {"deployment": d.deployment, "model": d.model, "version": str(d.version), "digest": d.digest}
        table = table.replace_schema_metadata({f"lifecycle.{key}": value for key, value in source.items()})
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{self._worker}.parquet"
        with writing_durably(folder / name) as file:
            pa.parquet.write_table(table, file, compression="zstd")
        self.kept_bytes = _thin_out(self._folder, budget)
        pa.default_memory_pool().release_unused()


def _thin_out(folder: Path, budget: int) -> int:
    """Delete the oldest files until at most ``budget`` bytes are left; returns the bytes left."""
    sizes = {}
    for path in folder.glob(_PATTERN):
        try:
            sizes[path] = path.stat().st_size
        except FileNotFoundError:
            continue  # another worker has deleted it already
    kept = sum(sizes.values())
    for path in sorted(sizes, key=lambda path: path.name):
        if kept <= budget:
            break
        path.unlink(missing_ok=True)
        kept -= sizes[path]
    return kept
