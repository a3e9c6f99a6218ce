"""What the commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from lifecycle.display import COLOURS, HISTORY_COLUMNS, history_rows

if TYPE_CHECKING:
    from rich.console import Console

    from lifecycle.domain.deployment import Deployment
    from lifecycle.domain.evidence import Evidence
    from lifecycle.domain.ledger import LedgerEntry

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")

_WIDTH_WITHOUT_TERMINAL = 140


def print_json(value: Any) -> None:
    """JSON on standard output; lines and nothing else."""
    click.echo(json.dumps(value, indent=2, allow_nan=False, default=str))


def console(stderr: bool = False) -> Console:
    """Where tables go: as wide as the terminal, and wide enough to read where there is none."""
    from rich.console import Console

    terminal = Console(stderr=stderr, highlight=False)
    if terminal.is_terminal:
        return terminal
    return Console(stderr=stderr, highlight=False, width=max(terminal.width, _WIDTH_WITHOUT_TERMINAL))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """A table as wide as the terminal; outcomes in colour. Cells are text, never markup."""
    from rich.table import Column, Table
    from rich.text import Text

    headers = [Column(name, overflow="fold") for name in columns]  # paths and URLs are there to be copied
    table = Table(*headers, title=None if title is None else Text(title), title_justify="left")
    for row in rows:
        cells = ["" if cell is None else _printable(str(cell)) for cell in row]
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    console().print(table)


def print_evidence(evidence: Evidence) -> None:
    """The verdicts of one gate run."""
    from lifecycle.gates.report import title_of

    print_table(
        ["Gate", "Outcome", "Why", "s"],
        [(v.gate, v.outcome, v.message, f"{v.seconds:.1f}") for v in evidence.verdicts],
        title=title_of(evidence),
    )


def print_history(entries: Iterable[LedgerEntry]) -> None:
    """Who moved what where, when, why and on what evidence; newest last."""
    print_table(HISTORY_COLUMNS, history_rows(entries))


def deployment_as_dict(deployment: Deployment) -> dict[str, Any]:
    """A deployment for ``--json``."""
    return {
        "name": deployment.name,
        "target": deployment.target,
        "model": str(deployment.ref),
        "version": deployment.version,
        "digest": deployment.digest,
        "status": str(deployment.status),
        "address": deployment.address,
        "detail": deployment.detail,
        "options": dict(deployment.options),
        "figures": dict(deployment.figures),
    }


def print_deployments(deployments: Iterable[Deployment]) -> None:
    """One line a deployment."""
    print_table(
        ["Name", "Target", "Model", "Version", "Status", "Where"],
        [(d.name, d.target, d.ref, d.version, d.status, d.address or d.detail) for d in deployments],
    )


def parse_pairs(pairs: Sequence[str]) -> Mapping[str, str]:
    """``key=value`` strings, as MLflow's ``-C`` takes them."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.UsageError(f"-C wants key=value, not {pair[:60]!r}")
        if key in parsed:
            raise click.UsageError(f"-C {key} is given twice")
        parsed[key] = value
    return parsed


def _printable(text: str) -> str:
    """Without what steers a terminal: reasons and names in a registry were written by anybody."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
