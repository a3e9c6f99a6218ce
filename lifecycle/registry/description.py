"""The gates' table in a version's description, beside what a person wrote there."""

from __future__ import annotations

import re

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.text import markdown_text

_MAX_CHARS = 5000  # what MLflow's column holds
_GAP = "&ensp;"  # MLflow shows tables without any space between their columns
_MESSAGE_CHARS = (160, 60)  # of each gate; the second where there is little room


def described(description: str, evidence: Evidence) -> str:
    """The description with the table of this evidence's stage added or replaced.

    Text by people is kept: if it leaves no room, the table gets shorter, then becomes one line, then is left out.
    """
    start, end = f"<!-- lifecycle:{evidence.stage} -->", f"<!-- /lifecycle:{evidence.stage} -->"
    there = _block(markdown_text(evidence.stage), start, end)
    for table in _shorter_and_shorter(evidence):
        # MLflow's list of versions shows how the first line begins, as it is written: so with words, not markup.
        block = f"{_headline(evidence)} {start}\n{table}{end}"
        combined, replaced = there.subn(lambda _, block=block: block, description, count=1)  # type: ignore[misc]
        if not replaced:
            combined = f"{description.rstrip()}\n\n{block}".lstrip()
        if len(combined) <= _MAX_CHARS:
            return combined
    return there.sub("", description)


def _block(stage: str, start: str, end: str) -> re.Pattern[str]:
    """A headline and the table below it, without text by people before it on the line."""
    headline = rf"(?:{re.escape(stage)}: [A-Z]+ · [^\n]*)?{re.escape(start)}"
    # not across another start: a block without its end would reach into text by people
    return re.compile(rf"{headline}(?:(?!{re.escape(start)}).)*?{re.escape(end)}", re.DOTALL)


def _headline(evidence: Evidence) -> str:
    return (
        f"{markdown_text(evidence.stage)}: {evidence.outcome} · attempt {evidence.attempt} · "
        f"{evidence.created_at:%Y-%m-%d %H:%M} UTC · snapshot {markdown_text(evidence.digest[:12])}"
    )


def _shorter_and_shorter(evidence: Evidence) -> list[str]:
    return [*(f"\n{_table(evidence, chars)}\n" for chars in _MESSAGE_CHARS), ""]


def _table(evidence: Evidence, message_chars: int) -> str:
    rows = (
        f"| {markdown_text(v.gate)}{_GAP} | {v.outcome}{_GAP} | {markdown_text(v.message, message_chars)} |"
        for v in evidence.verdicts
    )
    return "\n".join(["| gate | verdict | why |", "| --- | --- | --- |", *rows])
