"""Asking for a promotion, and the pure decision about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from lifecycle.domain.canonical import canonical_json
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.verdict import Outcome


class Kind(StrEnum):
    """What is asked for."""

    PROMOTE = "PROMOTE"
    """Needs fresh evidence for every gate."""
    ROLLBACK = "ROLLBACK"
    """Back to a version that the stage held before, with the digest it had then; needs no new evidence."""


@dataclass(frozen=True, slots=True)
class PromotionRequest:
    """A version that somebody wants in a stage.

    Attributes:
        stage: The policy's word for the stage.
        reason, requested_by: For the ledger.
        expected: The version that the caller saw in the stage (0: none); the promotion is refused with a
            conflict when that is no longer so. None: the caller does not care.
        key: Idempotency key; empty for none.
    """

    model: str
    version: int
    stage: str
    kind: Kind = Kind.PROMOTE
    reason: str = ""
    requested_by: str = ""
    expected: int | None = None
    key: str = ""

    def to_json(self) -> str:
        """Canonical JSON."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PromotionRequest:
        """Read what :meth:`to_json` wrote.

        Raises:
            ValueError: the text is not such a request.
        """
        try:
            fields = json.loads(text)
            return cls(**fields | {"kind": Kind(fields["kind"]), "version": int(fields["version"])})
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not a promotion request: {type(exc).__name__}") from exc


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes with the evidence that it rests on, or no with the reason."""

    allowed: bool
    detail: str = ""
    digest: str = ""
    evidence_id: str | None = None


def decide(
    request: PromotionRequest,
    policy: StagePolicy,
    evidence: Sequence[Evidence],
    ledger: Sequence[LedgerEntry],
    now: datetime,
) -> Decision:
    """Whether the version may go to the stage.

    Args:
        evidence: All evidence on record for this version and stage, newest last.
        ledger: The model's whole ledger, oldest first.
        now: UTC, from the clock of whoever decides.
    """
    if request.kind is Kind.ROLLBACK:
        return _decide_rollback(request, policy, ledger)
    fresh = [e for e in evidence if _counts(e, request, policy, now)]
    if not fresh:
        return Decision(False, _nothing_fresh(request, policy, evidence, now))
    newest = fresh[-1]
    attempt = attempt_of(newest, evidence)
    if policy.max_attempts is not None and attempt > policy.max_attempts:
        return Decision(False, out_of_attempts(request.model, request.version, policy, attempt))
    missing = _gates_not_passed(policy, newest)
    if missing:
        return Decision(False, _refusal(request, policy, f"not passed: {', '.join(missing)}"))
    if policy.after and not _held(ledger, policy.after, request.version, newest.digest):
        return Decision(
            False,
            f"Version {request.version} of {request.model} has not been promoted to {policy.after} with these "
            f"files, which {policy.name} demands. Run: lifecycle promote models:/{request.model}/"
            f"{request.version} --stage {policy.after}",
        )
    return Decision(True, digest=newest.digest, evidence_id=newest.evidence_id)


def attempt_of(evidence: Evidence, on_record: Sequence[Evidence]) -> int:
    """Which attempt it was: as it says itself, or by its place in the whole record, whichever is later."""
    return max(evidence.attempt, 1 + on_record.index(evidence) if evidence in on_record else len(on_record) + 1)


def out_of_attempts(model: str, version: int, policy: StagePolicy, attempt: int) -> str:
    """Why a version has no more gate runs for a stage."""
    return (
        f"Version {version} of {model} may not go to {policy.stage}: its gates have been run {attempt - 1} times "
        f"for {policy.name}, and max_attempts is {policy.max_attempts}. Register a new version"
    )


def _decide_rollback(request: PromotionRequest, policy: StagePolicy, ledger: Sequence[LedgerEntry]) -> Decision:
    held = _held(ledger, policy.name, request.version)
    if held is None:
        return Decision(
            False,
            f"Version {request.version} of {request.model} was never in {policy.name}, so there is nothing to "
            f"roll back to. Run: lifecycle history {request.model}",
        )
    return Decision(True, digest=held.digest, evidence_id=held.evidence_id)


def _held(
    ledger: Iterable[LedgerEntry], stage: str, version: int, digest: str | None = None
) -> LedgerEntry | None:
    """The newest entry that put the version (with that digest) into the stage."""
    matches = [
        e for e in ledger if e.moved and e.stage == stage and e.version == version and digest in (None, e.digest)
    ]
    return matches[-1] if matches else None


def _counts(evidence: Evidence, request: PromotionRequest, policy: StagePolicy, now: datetime) -> bool:
    return (
        (evidence.model, evidence.version, evidence.stage) == (request.model, request.version, policy.name)
        and evidence.policy_digest == policy.digest
        and evidence.created_at <= now < min(evidence.expires_at, evidence.created_at + policy.max_age)
    )


def _gates_not_passed(policy: StagePolicy, evidence: Evidence) -> list[str]:
    """Demanded gates without a PASSED verdict, each with what it said instead. One bad verdict is enough."""
    said: dict[str, Outcome] = {}
    for verdict in evidence.verdicts:
        if said.get(verdict.gate, Outcome.PASSED) is Outcome.PASSED:
            said[verdict.gate] = verdict.outcome
    return [
        f"{gate.name} ({said.get(gate.name, 'not run')})"
        for gate in policy.gates
        if said.get(gate.name) is not Outcome.PASSED
    ]


def _nothing_fresh(
    request: PromotionRequest, policy: StagePolicy, evidence: Sequence[Evidence], now: datetime
) -> str:
    if not evidence:
        gates = ", ".join(g.name for g in policy.gates)
        return _refusal(request, policy, f"no gate has been run for it (needed: {gates})")
    newest = evidence[-1]
    if newest.policy_digest != policy.digest:
        return _refusal(request, policy, "the policy has changed since its gates ran")
    if newest.created_at > now:
        return _refusal(request, policy, "its evidence is dated in the future; check the clocks")
    return _refusal(request, policy, "its evidence has expired")


def _refusal(request: PromotionRequest, policy: StagePolicy, why: str) -> str:
    return (
        f"Version {request.version} of {request.model} may not go to {policy.stage}: {why}. "
        f"Run: lifecycle gate run models:/{request.model}/{request.version} --stage {policy.name}"
    )
