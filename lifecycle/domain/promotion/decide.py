"""The decision about a promotion: fresh evidence, order of stages, approvals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.domain.text import may_be_equal
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import NotTrusted, PromotionRefused

CLOCK_TOLERANCE = timedelta(minutes=2)
"""How far the signer's clock may be ahead of the registry's."""

LONGEST_OVERRIDE = timedelta(days=7)
_OVERRIDE_IS_FRESH = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision: allowed with its evidence, or refused with the reason.

    Attributes:
        unjudged: Whether only a gate run is missing.
    """

    allowed: bool
    detail: str = ""
    digest: str = ""
    evidence_id: str | None = None
    unjudged: bool = False


def decide(request: PromotionRequest, policy: StagePolicy, context: PromotionContext, now: datetime) -> Decision:
    """Decide whether the version may go to the stage.

    Args:
        now: UTC, from the registry's clock.
    """
    if request.kind is RequestKind.ROLLBACK:
        return _decide_rollback(request, policy, context.ledger)
    if request.kind is RequestKind.OVERRIDE:
        return _decide_override(request, policy, context, now)
    fresh = [e for e in context.evidence if _counts(e, request, policy, now)]
    if not fresh:
        return Decision(False, _nothing_fresh(request, policy, context, now), unjudged=True)
    newest = fresh[-1]
    problem = (
        _other_files(request, policy, newest, context)
        or _too_many_attempts(request, policy, newest, context)
        or _not_passed(request, policy, newest)
        or _out_of_order(request, policy, newest, context)
        or _not_approved(request, policy, newest, context, now)
    )
    if problem:
        return Decision(False, problem, digest=newest.digest, evidence_id=newest.evidence_id)
    return Decision(True, digest=newest.digest, evidence_id=newest.evidence_id)


def attempt_of(evidence: Evidence, on_record: Sequence[Evidence]) -> int:
    """Number of the attempt: its own claim or its place in the record, whichever is larger."""
    return max(evidence.attempt, 1 + on_record.index(evidence) if evidence in on_record else len(on_record) + 1)


def out_of_attempts(model: str, version: int, policy: StagePolicy, attempt: int) -> str:
    """The refusal when a version has used all its gate runs for a stage."""
    return (
        f"Version {version} of {model} may not go to {policy.where}: its gates have been run {attempt - 1} times "
        f"for {policy.name}, and max_attempts is {policy.max_attempts}. Register a new version"
    )


def last_move(ledger: Sequence[LedgerEntry], stage: str) -> LedgerEntry | None:
    """The newest entry that placed a version in the stage."""
    return next((e for e in reversed(ledger) if e.moved and e.stage == stage), None)


def _other_files(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, context: PromotionContext
) -> str:
    if context.digest is None:
        return _refusal(request, policy, "evidence arrived during this request; retry")
    if context.digest != newest.digest:
        return _refusal(request, policy, "its files have changed since its gates ran")
    return ""


def _too_many_attempts(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, context: PromotionContext
) -> str:
    attempt = attempt_of(newest, context.evidence)
    if policy.max_attempts is None or attempt <= policy.max_attempts:
        return ""
    return out_of_attempts(request.model, request.version, policy, attempt)


def _not_passed(request: PromotionRequest, policy: StagePolicy, newest: Evidence) -> str:
    missing = _gates_not_passed(policy, newest)
    return _refusal(request, policy, f"not passed: {', '.join(missing)}") if missing else ""


def _out_of_order(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, context: PromotionContext
) -> str:
    if not policy.after or _earned(context.ledger, policy.after, request.version, newest.digest):
        return ""
    return (
        f"Version {request.version} of {request.model} has not been promoted to {policy.after} with these "
        f"files, which {policy.name} demands. Run: lifecycle promote models:/{request.model}/"
        f"{request.version} --stage {policy.after}"
    )


def _not_approved(
    request: PromotionRequest, policy: StagePolicy, newest: Evidence, context: PromotionContext, now: datetime
) -> str:
    needed = approvals_needed(policy, context.author)
    given = approvers_of(request.version, newest.digest, policy, context.ledger, context.author, now)
    if len(given) >= needed:
        return ""
    whose = f" ({', '.join(sorted(given))})" if given else ""
    unknown = ", one of them because its author is unknown" if needed > policy.approvals else ""
    return (
        f"Version {request.version} of {request.model} may not go to {policy.where}: it has {len(given)} of "
        f"{needed} approvals{whose}{unknown}. Someone who did not register it can run: lifecycle approve "
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
    request: PromotionRequest, policy: StagePolicy, context: PromotionContext, now: datetime
) -> Decision:
    """The decision about an override, whose signature the caller has checked."""
    subject = f"The override for version {request.version} of {request.model} to {policy.where}"
    if request.issued_at is None or request.until is None or not request.reason.strip() or not request.key:
        return Decision(False, f"{subject} says no reason, no end, or not when it was signed")
    if not now - _OVERRIDE_IS_FRESH <= request.issued_at <= now + CLOCK_TOLERANCE:
        return Decision(False, f"{subject} was not signed just now. Sign it again, and check the clocks")
    if not now < request.until <= request.issued_at + LONGEST_OVERRIDE:
        return Decision(False, f"{subject} may last {LONGEST_OVERRIDE.days} days at most, and has to end later")
    if request.digest != context.digest:
        return Decision(False, f"{subject} speaks of other files than the version has now")
    return Decision(True, digest=request.digest)


def _earned(
    ledger: Iterable[LedgerEntry], stage: str, version: int, digest: str | None = None
) -> LedgerEntry | None:
    """The newest entry that promoted the version (with that digest) to the stage, without overrides."""
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
    """Demanded gates without a PASSED verdict, each with its outcome. One other verdict is enough."""
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
    request: PromotionRequest, policy: StagePolicy, context: PromotionContext, now: datetime
) -> str:
    if not context.evidence:
        if context.distrusted:
            return _refusal(request, policy, "the key that signed its evidence is not trusted (any more)")
        gates = ", ".join(g.name for g in policy.gates)
        return _refusal(request, policy, f"no gate has been run for it (needed: {gates})")
    newest = context.evidence[-1]
    if newest.policy_digest != policy.digest:
        return _refusal(request, policy, "the policy has changed since its gates ran")
    if newest.created_at > now + CLOCK_TOLERANCE:
        return _refusal(request, policy, "its evidence is dated in the future; check the clocks")
    return _refusal(request, policy, "its evidence has expired")


def _refusal(request: PromotionRequest, policy: StagePolicy, why: str) -> str:
    """The refusal as one short paragraph, which MLflow's UI shows unchanged."""
    inherited = f" ({request.model} has no policy of its own, so the defaults apply)" if policy.inherited else ""
    return (
        f"Version {request.version} of {request.model} may not go to {policy.where}: {why}{inherited}. "
        f"Run: lifecycle gate run models:/{request.model}/{request.version} --stage {policy.name}"
    )


def approvers_of(
    version: int,
    digest: str,
    policy: StagePolicy,
    ledger: Sequence[LedgerEntry],
    author: str | None,
    now: datetime,
) -> set[str]:
    """Users who have validly approved these files of the version for the stage.

    An approval is valid as long as evidence (``max_age``). Names that a database of users may take for
    the same are one person.
    """
    given: list[str] = []
    for entry in ledger:
        if (
            entry.action is Action.APPROVED
            and (entry.stage, entry.version, entry.digest) == (policy.name, version, digest)
            and entry.at > now - policy.max_age
            and _may(entry.actor, policy)
            and not any(_same_person(entry.actor, other) for other in (*given, author or ""))
        ):
            given.append(entry.actor)
    return set(given)


def approvals_needed(policy: StagePolicy, author: str | None) -> int:
    """Number of approvals that ensure ``policy.approvals`` approvers other than the author.

    If the author is unknown, one of the approvers may be the author.
    """
    return policy.approvals + 1 if policy.approvals and author is None else policy.approvals


def check_may_approve(model: str, version: int, policy: StagePolicy, actor: str, author: str | None) -> None:
    """Refuse an approval that is not valid.

    Raises:
        NotTrusted: the user is not authenticated.
        PromotionRefused: the policy does not list the user, or the user registered the version.
    """
    subject = f"version {version} of {model} for {policy.name}"
    if actor == UNAUTHENTICATED:
        raise NotTrusted(
            f"You may not approve {subject}: an approval needs a signed-in user. "
            f"Start the server with --app-name basic-auth"
        )
    if author is not None and _same_person(actor, author):
        raise PromotionRefused(
            f"{actor} may not approve {subject}: they registered it, and four eyes are demanded"
        )
    if not _may(actor, policy):
        raise PromotionRefused(f"{actor} may not approve {subject}: the policy lists {_listed(policy)}")


def _may(actor: str, policy: StagePolicy) -> bool:
    return actor != UNAUTHENTICATED and (not policy.approvers or actor in policy.approvers)


def _same_person(one: str, other: str) -> bool:
    """Whether a database of users may find the two names equal."""
    return may_be_equal(one, other) or may_be_equal(other, one)


def _listed(policy: StagePolicy) -> str:
    return ", ".join(sorted(policy.approvers))
