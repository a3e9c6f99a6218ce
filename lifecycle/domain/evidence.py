"""A record of verdicts, bound to exactly what was judged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lifecycle.domain.canonical import canonical_json, from_timestamp, sha256_of, to_timestamp
from lifecycle.domain.verdict import Outcome, Verdict, worst_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verdicts of one gate run.

    Attributes:
        model, version, stage: What was judged, and for which stage of the policy.
        digest: sha256 of the snapshot that the gates saw; a version whose files changed no longer matches.
        policy_digest: The demands at that time; a changed policy no longer matches.
        data: Fingerprints of the data that was judged on, by role (``reference``, ``current``).
        verdicts: One per gate.
        created_at, expires_at: UTC; evidence is worth nothing after ``expires_at``.
        run_id: The MLflow run that holds the reports, where there is one.
        requested_by: Who ran the gates, as they say themselves.
        attempt: Which gate run of this version for this stage it was, from 1: who tries until it passes is seen.
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
        return sha256_of(self._as_dict())[:16]

    @property
    def outcome(self) -> Outcome:
        """The worst of the verdicts."""
        return worst_of(self.verdicts)

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json(self._as_dict())

    @classmethod
    def from_json(cls, text: str) -> Evidence:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: the text is not such a record.
        """
        try:
            fields = json.loads(text)
            return cls(
                **fields
                | {
                    "version": int(fields["version"]),
                    "attempt": int(fields["attempt"]),
                    "verdicts": tuple(_verdict(v) for v in fields["verdicts"]),
                    "created_at": from_timestamp(fields["created_at"]),
                    "expires_at": from_timestamp(fields["expires_at"]),
                }
            )
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError(f"not an evidence record: {type(exc).__name__}") from exc

    def _as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "version": self.version,
            "stage": self.stage,
            "digest": self.digest,
            "policy_digest": self.policy_digest,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "created_at": to_timestamp(self.created_at),
            "expires_at": to_timestamp(self.expires_at),
            "data": dict(self.data),
            "run_id": self.run_id,
            "requested_by": self.requested_by,
            "attempt": self.attempt,
        }


def _verdict(fields: dict[str, Any]) -> Verdict:
    return Verdict(**fields | {"outcome": Outcome(fields["outcome"])})
