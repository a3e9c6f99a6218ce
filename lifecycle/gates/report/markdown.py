"""The summary that a CI job shows on its page."""

from __future__ import annotations

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import markdown_text, printable
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.report.headline import circumstances_of, facts_of, next_step, title_of

_HEADER = ("Gate", "Verdict", "Why", "Reason", "Seconds")


def render_markdown(evidence: Evidence) -> str:
    """A heading, a table with a row for each gate, and what to do next. Names from the data stay text."""
    rows = [_HEADER, ("---",) * 4 + ("---:",), *map(_row, evidence.verdicts)]
    facts = [f"{name} {short}" for name, short, _ in facts_of(evidence)]
    sentence, command = next_step(evidence)
    return "\n\n".join(
        [
            f"### {markdown_text(title_of(evidence))}",
            " · ".join(map(markdown_text, [*circumstances_of(evidence), *facts])),
            "\n".join(f"| {' | '.join(row)} |" for row in rows),
            f"**Next:** {markdown_text(sentence)}\n\n```shell\n{printable(command)}\n```\n",
        ]
    )


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        markdown_text(verdict.gate),
        f"**{verdict.outcome}**",
        markdown_text(verdict.message),
        markdown_text(verdict.reason),
        f"{verdict.seconds:.1f}",
    )
