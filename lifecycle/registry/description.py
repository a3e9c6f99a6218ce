"""The gates' table in a version's description, beside whatever a person wrote there."""

from __future__ import annotations

import re

from lifecycle.domain.evidence import Evidence

_MAX_CHARS = 5000  # what MLflow's column holds
_MAX_MESSAGE_CHARS = 160


def described(description: str, evidence: Evidence) -> str:
    """The description with the table of this evidence's stage, put in or replaced where it stood.

    A description that would grow beyond MLflow's limit stays as it is: a person's words come first.
    """
    start, end = f"<!-- lifecycle:{evidence.stage} -->", f"<!-- /lifecycle:{evidence.stage} -->"
    block = f"{start}\n{_table(evidence)}\n{end}"
    before, found, rest = description.partition(start)
    if found and end in rest:
        combined = before + block + rest.partition(end)[2]
    else:
        combined = f"{description.rstrip()}\n\n{block}".lstrip()
    return combined if len(combined) <= _MAX_CHARS else description


def _table(evidence: Evidence) -> str:
    rows = "\n".join(
        f"| {_cell(v.gate)} | {v.outcome} | {_cell(v.message[:_MAX_MESSAGE_CHARS])} |" for v in evidence.verdicts
    )
    return (
        f"**{evidence.stage}: {evidence.outcome}** · {evidence.created_at:%Y-%m-%d %H:%M} UTC · "
        f"snapshot {evidence.digest[:12]}\n\n| gate | verdict | why |\n| --- | --- | --- |\n{rows}"
    )


def _cell(text: str) -> str:
    """Text that cannot end its cell, its row or our comment, or start markup."""
    return re.sub(r"([\\|<>\[\]`*])", r"\\\1", " ".join(text.split()))
