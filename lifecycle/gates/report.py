"""Verdicts for people and machines: a Markdown table, plain JSON, an HTML table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.verdict import Outcome, Verdict

_HEADER = ("Gate", "Outcome", "What was found", "Reason", "Seconds")
_COLOURS = {
    Outcome.PASSED: "#1a7f37",
    Outcome.INCONCLUSIVE: "#9a6700",
    Outcome.ERROR: "#8250df",
    Outcome.FAILED: "#cf222e",
}


@dataclass(frozen=True, slots=True, repr=False)
class GateReport:
    """The verdicts of one gate run; a table in notebooks, lines elsewhere."""

    evidence: Evidence

    @property
    def title(self) -> str:
        """What was judged for which stage, and what came of it."""
        return title_of(self.evidence)

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each gate, in order."""
        return self.evidence.verdicts

    @property
    def outcome(self) -> Outcome:
        """The worst of the verdicts."""
        return self.evidence.outcome

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return self.outcome is Outcome.PASSED

    def __repr__(self) -> str:
        return "\n".join([self.title, *(f"  {v.gate}: {v.outcome}. {v.message}" for v in self.verdicts)])

    def _repr_html_(self) -> str:
        return render_html(self.title, self.verdicts)


def title_of(evidence: Evidence) -> str:
    """``models:/name/version for stage: OUTCOME``."""
    return f"models:/{evidence.model}/{evidence.version} for {evidence.stage}: {evidence.outcome}"


def render_markdown(title: str, verdicts: Sequence[Verdict]) -> str:
    """A heading and a table. Names from the data can neither break out of a cell nor bring in HTML."""
    rows = [_HEADER, ("---",) * len(_HEADER), *([*map(_markdown, _cells(v))] for v in verdicts)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"### {_markdown(title)}\n\n{table}\n"


def render_html(title: str, verdicts: Sequence[Verdict]) -> str:
    """A table that needs nothing else: no script, no style sheet, everything escaped."""
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in _HEADER)
    body = "".join(f"<tr>{''.join(_html(cell) for cell in _cells(v))}</tr>" for v in verdicts)
    return f"<h4>{escape(title)}</h4><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.gate, str(verdict.outcome), verdict.message, verdict.reason, f"{verdict.seconds:.1f}")


def _markdown(text: str) -> str:
    one_line = escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", one_line)


def _html(cell: str) -> str:
    colour = _COLOURS.get(cell) if cell in _COLOURS else None  # type: ignore[call-overload]
    style = f"text-align:left;vertical-align:top{f';font-weight:bold;color:{colour}' if colour else ''}"
    return f'<td style="{style}">{escape(cell)}</td>'
