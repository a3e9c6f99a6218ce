"""Verdicts of gates, and evidence: verdicts, bound to exactly the files, policy and data that were judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.text import canonical_json, json_types, sha256_of

Figure = float | int | str | bool


class Outcome(StrEnum):
    """The four answers of a gate, from best to worst. Only PASSED promotes."""

    PASSED = "PASSED"
    """The check ran on enough data, and its demands are met."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The check could not judge: too few rows, no reference, a column it cannot read."""
    ERROR = "ERROR"
    """The check itself failed to run."""
    FAILED = "FAILED"
    """The check ran and its demands are not met."""


_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer.

    Attributes:
        gate: The gate's name.
        outcome: One of the four answers.
        reason: Stable code for machines, ``<gate>.<what>``, such as ``drift.share_exceeded``.
        message: One or two sentences for people. Names columns and figures, never row values.
        figures: What was measured and what was demanded.
        seconds: How long the gate took.
    """

    gate: str
    outcome: Outcome
    reason: str
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    seconds: float | int = field(default=0.0, metadata={"digits": 3})

    def as_dict(self) -> dict[str, Any]:
        """As JSON types; seconds to the millisecond."""
        fields: dict[str, Any] = json_types(self)
        return fields


def worst_of(verdicts: Iterable[Verdict]) -> Outcome:
    """The worst outcome. Without any verdict it is INCONCLUSIVE, since nothing was checked."""
    return max((v.outcome for v in verdicts), key=_SEVERITY.__getitem__, default=Outcome.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdicts of one gate run.

    Attributes:
        model, version, stage: What was judged, and for which stage of the policy.
        digest: sha256 of the snapshot that the gates saw; a version whose files changed no longer matches.
        policy_digest: Digest of the policy at that time; a changed policy no longer matches.
        data: Fingerprints of the data that was judged on, by role (``reference``, ``current``).
        verdicts: One per gate.
        created_at, expires_at: UTC; evidence is not valid after ``expires_at``.
        run_id: The MLflow run that holds the reports, where there is one.
        requested_by: Who ran the gates, as the client says.
        attempt: Number of the gate run of this version for this stage, from 1, so that retries are visible.
    """

    model: str
    version: int
    stage: str
    digest: str
    policy_digest: str
    verdicts: tuple[Verdict, ...]
    created_at: datetime
    expires_at: datetime
    data: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    requested_by: str = ""
    attempt: int = 1

    @property
    def evidence_id(self) -> str:
        """The first 16 hex digits of the sha256 of the whole record."""
        return sha256_of(json_types(self))[:16]

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the verdicts."""
        return worst_of(self.verdicts)

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json(json_types(self))
