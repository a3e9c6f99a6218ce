"""Results that show themselves as tables in a notebook. Every cell is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from lifecycle.domain.deployment import Deployment
from lifecycle.domain.ledger import LedgerEntry


@dataclass(frozen=True)
class History:
    """A model's ledger."""

    entries: tuple[LedgerEntry, ...]

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def _repr_html_(self) -> str:
        return _table(
            ["#", "When (UTC)", "What", "Stage", "From", "To", "Who", "Why", "Evidence"],
            [
                (
                    e.sequence,
                    e.at.strftime("%Y-%m-%d %H:%M:%S"),
                    e.action,
                    e.stage,
                    e.previous,
                    e.version,
                    e.who,
                    e.detail or e.reason,
                    e.evidence_id,
                )
                for e in self.entries
            ],
        )


@dataclass(frozen=True)
class Moved:
    """A promotion or a rollback that happened."""

    entry: LedgerEntry

    def __str__(self) -> str:
        e = self.entry
        instead = f" in place of version {e.previous}" if e.previous else ""
        return f"Version {e.version} of {e.model} is now in {e.stage}{instead}."

    def _repr_html_(self) -> str:
        return f"<p>✔ {escape(str(self))}</p>"


@dataclass(frozen=True)
class DeploymentView:
    """A deployment."""

    deployment: Deployment

    @property
    def address(self) -> str:
        """Where it answers, or where its output is."""
        return self.deployment.address

    def _repr_html_(self) -> str:
        d = self.deployment
        return _table(
            ["Name", "Target", "Model", "Version", "Status", "Where"],
            [(d.name, d.target, d.ref, d.version, d.status, d.address or d.detail)],
        )


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td style='text-align:left'>{escape('' if c is None else str(c))}</td>" for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
