"""The sentences that every form of a report begins and ends with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import printable
from lifecycle.domain.verdict import Outcome

_SHORT = 12  # digits of a digest that tell one from another


def title_of(evidence: Evidence) -> str:
    """``models:/name/version for stage: OUTCOME``."""
    return f"models:/{evidence.model}/{evidence.version} for {evidence.stage}: {evidence.outcome}"


def next_step(evidence: Evidence) -> tuple[str, str]:
    """What to do now, and the command that does it, as one types it in a shell."""
    uri = f"models:/{printable(evidence.model)}/{evidence.version}"
    again = shlex.join(["lifecycle", "gate", "run", uri, "--stage", evidence.stage])
    match evidence.outcome:
        case Outcome.PASSED:
            return "Promote it:", shlex.join(["lifecycle", "promote", uri, "--stage", evidence.stage])
        case Outcome.INCONCLUSIVE:
            return "Give the gates what they lacked, and run them again:", again
        case Outcome.ERROR:
            return "Mend what broke, and run the gates again:", again
        case Outcome.FAILED:
            return (
                f"It may not go to {evidence.stage}. With other data or another policy, run again:",
                again,
            )


def facts_of(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """What was judged, by which demands, on which data: name, short value, whole value."""
    yield "snapshot", evidence.digest[:_SHORT], evidence.digest
    yield "policy", evidence.policy_digest[:_SHORT], evidence.policy_digest
    for role, fingerprint in sorted(evidence.data.items()):
        yield f"{role} data", fingerprint[:_SHORT], fingerprint


def circumstances_of(evidence: Evidence) -> Iterator[str]:
    """Which attempt it was (none: only some gates ran), when, by whom, and how long it took."""
    yield f"attempt {evidence.attempt}" if evidence.attempt else "a look, which counts for nothing"
    yield f"{evidence.created_at:%Y-%m-%d %H:%M} UTC"
    if evidence.requested_by:
        yield f"by {evidence.requested_by}"
    yield f"{sum(v.seconds for v in evidence.verdicts):.1f} s"
    yield f"counts until {evidence.expires_at:%Y-%m-%d %H:%M} UTC"
