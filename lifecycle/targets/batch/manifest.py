"""What a finished output says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lifecycle.errors import DeploymentFailed, IntegrityError
from lifecycle.targets.batch.plan import Plan

MANIFEST = "_manifest.json"
"""Its file name in the output folder."""

FORMAT = 1
"""A reader refuses a number that it does not know."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the output, with its path relative to the output folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """What became of one chunk. Its number, and the chunk size of the plan, say which rows it was."""

    chunk: int
    rows_in: int
    scorer: str
    part: Part | None
    rejected: Part | None

    @property
    def parts(self) -> list[Part]:
        """The files that there are."""
        return [part for part in (self.part, self.rejected) if part is not None]

    @property
    def rows_out(self) -> int:
        """Rows with a prediction."""
        return self.part.rows if self.part else 0

    @property
    def rows_rejected(self) -> int:
        """Rows without one."""
        return self.rejected.rows if self.rejected else 0

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ChunkDone:
        """Read what ``asdict`` made."""
        parts = {key: fields[key] and Part(**fields[key]) for key in ("part", "rejected")}
        return cls(**fields | parts)


def make_manifest(plan: Plan, chunks: Sequence[ChunkDone], total: int | None) -> dict[str, Any]:
    """What was done, with every row accounted for.

    Args:
        total: Rows that the input says it has, where it does.

    Raises:
        DeploymentFailed: a row is missing or counted twice.
    """
    rows_in, rows_out, rows_rejected = (
        sum(getattr(chunk, what) for chunk in chunks) for what in ("rows_in", "rows_out", "rows_rejected")
    )
    if rows_in != rows_out + rows_rejected or total not in (None, rows_in):
        raise DeploymentFailed(
            f"rows do not add up: {rows_in} read of {total or 'unknown'}, {rows_out} scored, {rows_rejected} "
            "rejected; nothing was committed"
        )
    ordered = sorted(chunks, key=lambda chunk: chunk.chunk)
    return plan.as_dict() | {
        "format": FORMAT,
        "scorer": ordered[0].scorer if ordered else None,
        "parts": [asdict(chunk.part) for chunk in ordered if chunk.part],
        "rejected": [asdict(chunk.rejected) for chunk in ordered if chunk.rejected],
        "rows_in": rows_in,
        "rows_out": rows_out,
        "rows_rejected": rows_rejected,
    }


def parts_of(manifest: dict[str, Any]) -> list[Part]:
    """Every file that a manifest names.

    Raises:
        IntegrityError: it is damaged, or of a format that this version does not know.
    """
    try:
        if manifest["format"] == FORMAT:
            return [Part(**fields) for fields in manifest["parts"] + manifest["rejected"]]
    except (KeyError, TypeError) as exc:
        raise IntegrityError(f"{MANIFEST} is damaged; delete the output folder and run again") from exc
    raise IntegrityError(f"{MANIFEST} has format {manifest['format']!r}, and this version knows {FORMAT}")
