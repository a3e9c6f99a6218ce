"""The pure decision about a promotion: the one place that says yes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.domain.approval import approvals_needed, approvers_of
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.promotion import Kind, PromotionRequest, Standing
from lifecycle.domain.verdict import Outcome

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far the clock of whoever signs may be ahead of the registry's."""

LONGEST_OVERRIDE = timedelta(days=7)
_OVERRIDE_IS_FRESH = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes with what it rests on, or no with the reason.

    Attributes:
        unjudged: Whether all that is missing is a gate run.
    """

    allowed: bool
    detail: str = ""
    digest: str = ""
    evidence_id: str | None = None
    unjudged: bool = False


def decide(request: PromotionRequest, policy: StagePolicy, standing: Standing, now: datetime) -> Decision:
    """Whether the version may go to the stage.

    Args:
        now: UTC, from the clock of whoever decides.
    """
    if request.kind is Kind.ROLLBACK:
        return _decide_rollback(request, policy, standing.ledger)
    if request.kind is Kind.OVERRIDE:
        return _decide_override(request, policy, standing, now)
    fresh = [e for e in standing.evidence if _counts(e, request, policy, now)]
    if not fresh:
        return Decision(False, _nothing_fresh(request, policy, standing, now), unjudged=True)
    newest = fresh[-1]
    problem = (
        _other_files(request, policy, newest, standing)
        or _too_many_attempts(request, policy, newest, standing)
        or _not_passed(request, policy, newest)
        or _out_of_order(request, policy, newest, standing)
        or _not_approved(request, policy, newest, standing, now)
    )
    if problem:
        return Decision(False, problem, digest=newest.digest, evidence_id=newest.evidence_id)
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


def last_move(ledger: Sequence[LedgerEntry], stage: str) -> LedgerEntry | None:
    """The newest entry that put some version into the stage."""
    return next((e for e in reversed(ledger) if e.moved and e.stage == stage), None)


def _other_files(request: PromotionRequest, policy: StagePolicy, newest: Evidence, standing: Standing) -> str:
    if standing.digest is None:
        return _refusal(request, policy, "its evidence came in this very moment; ask again")
    if standing.digest != newest.digest:
        return _refusal(request, policy, "its files have changed since its gates ran")
    return ""


def _too_many_attempts(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, standing: Standing
) -> str:
    attempt = attempt_of(newest, standing.evidence)
    if policy.max_attempts is None or attempt <= policy.max_attempts:
        return ""
    return out_of_attempts(request.model, request.version, policy, attempt)


def _not_passed(request: PromotionRequest, policy: StagePolicy, newest: Evidence) -> str:
    missing = _gates_not_passed(policy, newest)
    return _refusal(request, policy, f"not passed: {', '.join(missing)}") if missing else ""


def _out_of_order(request: PromotionRequest, policy: StagePolicy, newest: Evidence, standing: Standing) -> str:
    if not policy.after or _earned(standing.ledger, policy.after, request.version, newest.digest):
        return ""
    return (
        f"Version {request.version} of {request.model} has not been promoted to {policy.after} with these "
        f"files, which {policy.name} demands. Run: lifecycle promote models:/{request.model}/"
        f"{request.version} --stage {policy.after}"
    )


def _not_approved(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, standing: Standing, now: datetime
) -> str:
    needed = approvals_needed(policy, standing.author)
    given = approvers_of(request.version, newest.digest, policy, standing.ledger, standing.author, now)
    if len(given) >= needed:
        return ""
    whose = f" ({', '.join(sorted(given))})" if given else ""
    unknown = ", one of them because nobody knows who registered it" if needed > policy.approvals else ""
    return (
        f"Version {request.version} of {request.model} may not go to {policy.stage}: it has {len(given)} of "
        f"{needed} approvals{whose}{unknown}. Have somebody who did not register it run: lifecycle approve "
        f"models:/{request.model}/{request.version} --stage {policy.name} --reason …"
    )


def _decide_rollback(request: PromotionRequest, policy: StagePolicy, ledger: Sequence[LedgerEntry]) -> Decision:
    held = _earned(ledger, policy.name, request.version)
    if held is None:
        return Decision(
            False,
            f"Version {request.version} of {request.model} was never in {policy.name} by its gates, so there is "
            f"nothing to roll back to. Run: lifecycle history {request.model}",
        )
    return Decision(True, digest=held.digest, evidence_id=held.evidence_id)


def _decide_override(
    request: PromotionRequest, policy: StagePolicy, standing: Standing, now: datetime
) -> Decision:
    """Whoever calls has checked the signature."""
    subject = f"The override for version {request.version} of {request.model} to {policy.stage}"
    if request.issued_at is None or request.until is None or not request.reason.strip() or not request.key:
        return Decision(False, f"{subject} says no reason, no end, or not when it was signed")
    if not now - _OVERRIDE_IS_FRESH <= request.issued_at <= now + CLOCK_TOLERANCE:
        return Decision(False, f"{subject} was not signed just now. Sign it again, and check the clocks")
    if not now < request.until <= request.issued_at + LONGEST_OVERRIDE:
        return Decision(False, f"{subject} may last {LONGEST_OVERRIDE.days} days at most, and has to end later")
    if request.digest != standing.digest:
        return Decision(False, f"{subject} speaks of other files than the version has now")
    return Decision(True, digest=request.digest)


def _earned(
    ledger: Iterable[LedgerEntry], stage: str, version: int, digest: str | None = None
) -> LedgerEntry | None:
    """The newest entry that put the version (with that digest) into the stage, overrides not counted."""
    matches = [
        e
        for e in ledger
        if e.action in (Action.PROMOTED, Action.ROLLED_BACK)
        and (e.stage, e.version) == (stage, version)
        and digest in (None, e.digest)
    ]
    return matches[-1] if matches else None


def _counts(evidence: Evidence, request: PromotionRequest, policy: StagePolicy, now: datetime) -> bool:
    return (
        (evidence.model, evidence.version, evidence.stage) == (request.model, request.version, policy.name)
        and evidence.policy_digest == policy.digest
        and evidence.created_at <= now + CLOCK_TOLERANCE
        and now < min(evidence.expires_at, evidence.created_at + policy.max_age)
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


def _nothing_fresh(request: PromotionRequest, policy: StagePolicy, standing: Standing, now: datetime) -> str:
    if not standing.evidence:
        if standing.distrusted:
            return _refusal(request, policy, "the key that signed its evidence is not trusted (any more)")
        gates = ", ".join(g.name for g in policy.gates)
        return _refusal(request, policy, f"no gate has been run for it (needed: {gates})")
    newest = standing.evidence[-1]
    if newest.policy_digest != policy.digest:
        return _refusal(request, policy, "the policy has changed since its gates ran")
    if newest.created_at > now + CLOCK_TOLERANCE:
        return _refusal(request, policy, "its evidence is dated in the future; check the clocks")
    return _refusal(request, policy, "its evidence has expired")


def _refusal(request: PromotionRequest, policy: StagePolicy, why: str) -> str:
    """One short paragraph, which MLflow's UI shows as it is."""
    inherited = f" ({request.model} has no policy of its own, so the defaults apply)" if policy.inherited else ""
    return (
        f"Version {request.version} of {request.model} may not go to {policy.stage}: {why}{inherited}. "
        f"Run: lifecycle gate run models:/{request.model}/{request.version} --stage {policy.name}"
    )
