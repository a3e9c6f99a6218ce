"""Evidence: verdicts, bound to exactly the files, policy and data that were judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lifecycle.domain.text import canonical_json, json_types, sha256_of
from lifecycle.domain.verdict import Outcome, Verdict, worst_of


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
