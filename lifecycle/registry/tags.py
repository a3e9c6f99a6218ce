"""What people see of a version: its reserved tags, and the gates' table in its description.

Tags also deliver evidence and requests. Clients use only MLflow's own API, and a tag is the only thing that
passes through every MLflow client, server and authentication. On a guarded registry the tables decide and these
tags are for display; on a plain one they are the only record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from lifecycle.codec import decode
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.text import canonical_json, markdown_text, may_start_with
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import IntegrityError
from lifecycle.signing.jws import payload_of

RESERVED_PREFIX = "lifecycle."
PROMOTION = "lifecycle.promotion"
"""Delivers a PromotionRequest, signed for an override; not stored."""
HISTORY = "lifecycle.history"
"""The version's part of the ledger."""
FOLLOWER = "lifecycle.follower."
"""With a scope behind it, a registered model's lease of that scope (:mod:`lifecycle.domain.deployment`)."""

# The others have a policy's stage behind them.
EVIDENCE = "lifecycle.evidence."
"""Delivers evidence."""
APPROVE = "lifecycle.approve."
"""Approves a version; its value is the reason. Not stored."""
APPROVALS = "lifecycle.approvals."
"""Shows who has approved a version."""
CLAIM = "lifecycle.claim."
"""A worker's report on a queued gate run (:mod:`lifecycle.domain.gate_queue`). Not stored."""
QUEUE = "lifecycle.queue."
"""Shows a queued gate run: waiting, running or given up."""
PROOF = "lifecycle.proof."
"""The signed evidence or override that promoted the version."""
SUMMARY = RESERVED_PREFIX
"""A one-line summary of the gates."""

GUARD_SAYS = "is written by the lifecycle guard alone"
"""Part of the guard's answer to any other reserved tag, by which clients recognise the guard."""
OTHER_FILES = "this evidence speaks of other files"
"""How the guard begins to refuse evidence for other files than a version has."""
GUARD_PROBE = "lifecycle.guard?"
"""Never a real tag: MLflow allows no question mark in a tag's name."""

MAX_EVIDENCE_CHARS = 60_000
"""MLflow allows 100,000 in a tag, but MySQL's TEXT holds 65,535 bytes. The same goes for the history."""
_MAX_HISTORY_CHARS = 60_000
MAX_REFUSALS = 20
"""Number of refusals of a version that are shown."""


def is_reserved(key: str) -> bool:
    """Whether a tag is reserved, or a database may find it equal to one that is. Reserved keys are ASCII."""
    return may_start_with(key, RESERVED_PREFIX)


def end_of(key: str, beginning: str) -> str | None:
    """What follows a beginning such as :data:`EVIDENCE` in a tag; None for any other tag."""
    return key.removeprefix(beginning) if key.startswith(beginning) else None


def approvals_shown(approvers: Collection[str], needed: int) -> str:
    """Such as ``1 of 2: grace``."""
    return ": ".join(filter(None, [f"{len(approvers)} of {needed}", ", ".join(sorted(approvers))]))


def evidence_in(tags: Mapping[str, str], read: Callable[[str], str] = payload_of) -> list[Evidence]:
    """The newest evidence of each policy stage, from a version's tags.

    Args:
        read: Gives the payload of a signed text; by default unverified, for display.

    Raises:
        IntegrityError: the tag is malformed.
        NotTrusted: raised by ``read``.
    """
    try:
        return [decode(Evidence, read(text)) for key, text in sorted(tags.items()) if key.startswith(EVIDENCE)]
    except ValueError as exc:
        raise IntegrityError(f"a tag {EVIDENCE}… does not hold evidence: {exc}") from exc


def summary(evidence: Evidence) -> str:
    """Such as ``PASSED 2026-11-21 · attempt 2 · signature PASSED, drift PASSED``."""
    verdicts = ", ".join(f"{v.gate} {v.outcome}" for v in evidence.verdicts)
    return f"{evidence.outcome} {evidence.created_at:%Y-%m-%d} · attempt {evidence.attempt} · {verdicts}"


def history_value(ledger: Iterable[LedgerEntry], version: int) -> str:
    """The history tag of a version: its newest refusals and moves in order, as many as fit."""
    own = [entry for entry in ledger if entry.version == version]
    refusals = [entry for entry in own if entry.action is Action.REFUSED][-MAX_REFUSALS:]
    moves = [entry for entry in own if entry.action is not Action.REFUSED]
    room, shown = _MAX_HISTORY_CHARS, []
    for entry in reversed(refusals + moves):  # any client can cause refusals, so moves come first
        room -= len(entry.to_json()) + 1
        if room < 0:
            break
        shown.append(entry)
    return canonical_json([entry.as_dict() for entry in sorted(shown, key=lambda entry: entry.sequence)])


def history_of(tags: Mapping[str, str]) -> list[LedgerEntry]:
    """The inverse of :func:`history_value`, from a version's tags.

    Raises:
        IntegrityError: the tag is malformed.
    """
    try:
        return [decode(LedgerEntry, canonical_json(fields)) for fields in json.loads(tags.get(HISTORY, "[]"))]
    except (ValueError, TypeError) as exc:
        raise IntegrityError(f"the tag {HISTORY} does not hold a history: {exc}") from exc


_MAX_CHARS = 5000  # what MLflow's column holds
_GAP = "&ensp;"  # MLflow shows tables without any space between their columns
_MESSAGE_CHARS = (160, 60)  # of each gate; the second where there is little room


def described(description: str, evidence: Evidence) -> str:
    """The description with the table of this evidence's stage added or replaced.

    Text by people is kept: if it leaves no room, the table gets shorter, then becomes one line, then is left out.
    """
    start, end = f"<!-- lifecycle:{evidence.stage} -->", f"<!-- /lifecycle:{evidence.stage} -->"
    there = _block(markdown_text(evidence.stage), start, end)
    headline = (
        f"{markdown_text(evidence.stage)}: {evidence.outcome} · attempt {evidence.attempt} · "
        f"{evidence.created_at:%Y-%m-%d %H:%M} UTC · snapshot {markdown_text(evidence.digest[:12])}"
    )
    for table in [*(f"\n{_table(evidence, chars)}\n" for chars in _MESSAGE_CHARS), ""]:
        # MLflow's list of versions shows how the first line begins, as it is written: so with words, not markup.
        block = f"{headline} {start}\n{table}{end}"
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


def _table(evidence: Evidence, message_chars: int) -> str:
    rows = (
        f"| {markdown_text(v.gate)}{_GAP} | {v.outcome}{_GAP} | {markdown_text(v.message, message_chars)} |"
        for v in evidence.verdicts
    )
    return "\n".join(["| gate | verdict | why |", "| --- | --- | --- |", *rows])
