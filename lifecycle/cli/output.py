"""What the commands share: tables for people, JSON for machines, and options of targets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from lifecycle.assembly import Lifecycle
    from lifecycle.domain.deployment import Deployment
    from lifecycle.domain.verdict import Evidence

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")

_WIDTH_WITHOUT_TERMINAL = 140


def assembled(config: Path | None) -> Lifecycle:
    """The assembled product. Its import takes a part of a second, so help texts do without it."""
    from lifecycle.assembly import assemble

    return assemble(config)


def print_json(value: Any) -> None:
    """Print indented JSON to standard output. Raises ValueError for NaN and infinities, which JSON lacks."""
    click.echo(json.dumps(value, indent=2, allow_nan=False, default=str))


def console(stderr: bool = False) -> Console:
    """A console as wide as the terminal; without a terminal at least 140 characters wide."""
    from rich.console import Console

    terminal = Console(stderr=stderr, highlight=False)
    if terminal.is_terminal:
        return terminal
    return Console(stderr=stderr, highlight=False, width=max(terminal.width, _WIDTH_WITHOUT_TERMINAL))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print a table with coloured outcomes. Cells are plain text: no markup, no control characters."""
    from rich.table import Column, Table
    from rich.text import Text

    from lifecycle.display import COLOURS
    from lifecycle.domain.text import printable

    headers = [Column(name, overflow="fold") for name in columns]  # so that paths and URLs can be copied
    table = Table(*headers, title=None if title is None else Text(title), title_justify="left")
    for row in rows:
        # lines that cannot steer a terminal: names and reasons in a registry come from other people
        cells = ["" if cell is None else "\n".join(map(printable, str(cell).split("\n"))) for cell in row]
        table.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in cells))
    console().print(table)


def print_evidence(evidence: Evidence) -> None:
    """Print the verdicts of one gate run."""
    from lifecycle.gates.report import title_of

    print_table(
        ["Gate", "Outcome", "Why", "s"],
        [(v.gate, v.outcome, v.message, f"{v.seconds:.1f}") for v in evidence.verdicts],
        title=title_of(evidence),
    )


def deployment_as_dict(deployment: Deployment) -> dict[str, Any]:
    """A deployment as ``--json`` prints it."""
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
        **_scorer_of(deployment),
        "figures": dict(deployment.figures),
        "variants": [variant.as_dict() for variant in deployment.variants],
    }


def _scorer_of(deployment: Deployment) -> dict[str, str]:
    """What answers, compiled or pyfunc, and the reason where it is pyfunc."""
    for variant in deployment.variants:
        if variant.role == "champion":
            return {"scorer": variant.scorer} | ({"reason": variant.reason} if variant.reason else {})
    return {}


def print_deployments(deployments: Iterable[Deployment]) -> None:
    """Print one line per deployment."""
    print_table(
        ["Name", "Target", "Model", "Version", "Status", "Where"],
        [(d.name, d.target, d.ref, d.version, d.status, d.address or d.detail) for d in deployments],
    )


def parse_pairs(pairs: Sequence[str]) -> Mapping[str, str]:
    """Options from ``key=value`` strings, as MLflow's ``-C`` takes them. Raises click.UsageError."""
    parsed: dict[str, str] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise click.UsageError(f"-C wants key=value, not {pair[:60]!r}")
        if key in parsed:
            raise click.UsageError(f"-C {key} is given twice")
        parsed[key] = value
    return parsed
