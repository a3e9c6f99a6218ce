"""Results as tables for notebooks and terminals, and the progress of gates. Every cell is escaped."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from lifecycle.domain.deployment import Deployment
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.stage_history import StageAssignment
from lifecycle.domain.text import printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.text import Text

    from lifecycle.domain.verdict import Verdict
    from lifecycle.gates.run import Progress
    from lifecycle.scoring.contract import Predictions

_LOADING, _BETWEEN = "Loading the version …", "Preparing the next gate …"
COLOURS = {
    **{"PASSED": "green", "FAILED": "red", "ERROR": "magenta", "INCONCLUSIVE": "yellow"},
    **{"READY": "green", "REFUSED": "red", "OVERRIDDEN": "bold magenta"},
}
"""Terminal colours of outcomes, actions and statuses."""

HISTORY_COLUMNS = ("#", "When (UTC)", "What", "Stage", "From", "To", "Who", "Why", "Evidence")


def history_rows(entries: Iterable[LedgerEntry]) -> list[tuple[object, ...]]:
    """One row of ``HISTORY_COLUMNS`` per ledger entry."""
    return [
        (
            e.sequence,
            e.at.strftime("%Y-%m-%d %H:%M:%S"),
            e.action if e.until is None else f"{e.action} until {_minute(e.until)}",
            e.stage,
            e.previous,
            e.version,
            e.who,
            e.why,
            e.evidence_id,
        )
        for e in entries
    ]


HELD_COLUMNS = (
    *("Stage", "Version", "Files (sha256)", "From (UTC)", "Until (UTC)", "What", "Who", "Approved by", "Why"),
    "Evidence",
)


def held_rows(
    stages: Mapping[str, Sequence[StageAssignment]], verdicts: Mapping[str, str]
) -> list[tuple[object, ...]]:
    """A row of ``HELD_COLUMNS`` for each version that held a stage, and one for a stage that was empty.

    Args:
        verdicts: One line of verdicts by evidence id; ids that are missing are left out.
    """
    rows: list[tuple[object, ...]] = []
    for stage, held in stages.items():
        rows += [_held_row(assignment, verdicts) for assignment in held] or [(stage, "none", *[None] * 8)]
    return rows


def _held_row(assignment: StageAssignment, verdicts: Mapping[str, str]) -> tuple[object, ...]:
    e = assignment.entry
    evidence = e.evidence_id and "\n".join(filter(None, (e.evidence_id, verdicts.get(e.evidence_id))))
    return (
        e.stage,
        e.version,
        e.digest[:12],
        _minute(e.at),
        assignment.until and _minute(assignment.until),
        e.action if e.until is None else f"{e.action} until {_minute(e.until)}",
        e.who,
        ", ".join(assignment.approvers),
        e.why,
        evidence,
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, repr=False)
class History:
    """A model's ledger entries, oldest first, as ``lifecycle.history`` returns them."""

    entries: tuple[LedgerEntry, ...]

    def __iter__(self) -> Iterator[LedgerEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return "\n".join("  ".join("" if c is None else str(c) for c in row) for row in history_rows(self.entries))

    def _repr_html_(self) -> str:
        return _table(HISTORY_COLUMNS, history_rows(self.entries))


@dataclass(frozen=True, repr=False)
class Moved:
    """A completed promotion or rollback, as ``promote`` and ``rollback`` return it."""

    entry: LedgerEntry

    def __repr__(self) -> str:
        e = self.entry
        instead = f" in place of version {e.previous}" if e.previous else ""
        return f"Version {e.version} of {e.model} is now in {e.stage}{instead}."

    def _repr_html_(self) -> str:
        return f"<p>✔ {escape(repr(self))}</p>"


@dataclass(frozen=True, repr=False)
class DeploymentView:
    """A deployment as ``deploy`` returns it. It keeps the state of that moment."""

    deployment: Deployment
    _score: Callable[[pd.DataFrame], Predictions]

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self.deployment.name

    @property
    def version(self) -> int:
        """The model version that was deployed."""
        return self.deployment.version

    @property
    def address(self) -> str:
        """URL of the server, or path of the output."""
        return self.deployment.address

    def predict(self, rows: pd.DataFrame) -> Predictions:
        """Score rows with the deployment.

        Raises:
            Unavailable: it does not answer.
            InvalidInput: the rows do not fit the model's signature.
        """
        return self._score(rows)

    def __repr__(self) -> str:
        d = self.deployment
        return f"{d.name} on {d.target}: version {d.version} of {d.ref}, {d.status}, {d.address or d.detail}"

    def _repr_html_(self) -> str:
        d = self.deployment
        return _table(
            ["Name", "Target", "Model", "Version", "Status", "Where"],
            [(d.name, d.target, d.ref, d.version, d.status, d.address or d.detail)],
        )


@contextmanager
def gate_progress() -> Iterator[Progress]:
    """Show which gate is running and for how long, and the outcomes so far.

    A notebook shows a table that disappears at the end; a terminal shows lines on standard error, with a spinner.
    """
    ipython = sys.modules.get("IPython")  # which is not imported for this
    in_notebook = ipython is not None and hasattr(ipython.get_ipython(), "kernel")
    with _gates_in_notebook() if in_notebook else _gates_in_terminal() as progress:
        yield progress


@contextmanager
def _gates_in_notebook() -> Iterator[Progress]:
    from IPython.display import HTML, display

    from lifecycle.gates.report.html import render_progress
    from lifecycle.gates.run import Progress

    done: list[Verdict] = []
    shown = display(HTML(render_progress(done, _LOADING)), display_id=True)

    def on_verdict(verdict: Verdict) -> None:
        done.append(verdict)
        shown.update(HTML(render_progress(done, _BETWEEN)))

    try:
        yield Progress(lambda gate: shown.update(HTML(render_progress(done, _running(gate)))), on_verdict)
    finally:
        shown.update(HTML(""))


@contextmanager
def _gates_in_terminal() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Live
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    from lifecycle.gates.run import Progress

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Live(*columns, console=console, transient=True, disable=not console.is_terminal) as live:
        task = live.add_task(_LOADING, total=None)

        def on_verdict(verdict: Verdict) -> None:
            console.print(_line(verdict))
            live.reset(task, description=_BETWEEN)

        yield Progress(lambda gate: live.reset(task, description=_running(gate)), on_verdict)


def _running(gate: str) -> str:
    return f"Running gate {printable(gate)} …"


def _line(verdict: Verdict) -> Text:
    from rich.text import Text

    outcome = f"{verdict.outcome:<12}", COLOURS[verdict.outcome]
    return Text.assemble(outcome, f"  {printable(verdict.gate)}  ", (f"{verdict.seconds:.1f} s", "dim"))


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td style='text-align:left'>{escape('' if c is None else str(c))}</td>" for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
