"""What a registry does about a request: the one rule that every implementation follows.

Pure: whoever calls it has locked the model, and writes what it says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from lifecycle.domain.ledger import GENESIS, Action, LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.promotion.decide import Decision, check_may_approve, decide, last_move
from lifecycle.domain.promotion.request import PromotionContext, PromotionRequest, RequestKind
from lifecycle.errors import Conflict, PromotionRefused

_MOVE = {
    RequestKind.PROMOTE: Action.PROMOTED,
    RequestKind.ROLLBACK: Action.ROLLED_BACK,
    RequestKind.OVERRIDE: Action.OVERRIDDEN,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """The outcome of a request.

    Attributes:
        entry: The ledger entry that says so, not yet sealed where it is new.
        is_new: Whether the entry is still to be appended; a repeated request has its entry already.
        places: Whether the version belongs in the stage now, and the stage's alias on the version.
        unjudged: Whether it was refused for want of a gate run alone.
    """

    entry: LedgerEntry
    is_new: bool
    places: bool
    unjudged: bool = False


def rule(
    request: PromotionRequest,
    policy: StagePolicy,
    context: PromotionContext,
    actor: str,
    now: datetime,
    earlier: LedgerEntry | None,
) -> Transition:
    """Decide about a request.

    Args:
        earlier: The entry that bears the request's key, if one does.

    Raises:
        Conflict: the stage no longer holds what the caller expected, or the key belongs to another request.
    """
    if earlier is not None:
        _check_same(request, policy, earlier)
        return Transition(earlier, is_new=False, places=False)
    _check_expected(request, policy, context.holder)
    decision = decide(request, policy, context, now)
    last = last_move(context.ledger, policy.name)
    if decision.allowed and last and _is_so_already(request, context, decision, last):
        return Transition(last, is_new=False, places=True)
    entry = entry_for(request, policy, decision, context, actor, now)
    return Transition(entry, is_new=True, places=decision.allowed, unjudged=decision.unjudged)


def entry_for(
    request: PromotionRequest,
    policy: StagePolicy,
    decision: Decision,
    context: PromotionContext,
    actor: str,
    now: datetime,
) -> LedgerEntry:
    """The entry that says how a request was decided."""
    return LedgerEntry(
        sequence=0,
        at=now,
        action=_MOVE[request.kind] if decision.allowed else Action.REFUSED,
        model=request.model,
        stage=policy.name,
        version=request.version,
        previous=context.holder,
        digest=decision.digest,
        actor=actor,
        requested_by=request.requested_by,
        reason=request.reason,
        evidence_id=decision.evidence_id,
        detail=decision.detail,
        key=request.key,
        until=request.until if request.kind is RequestKind.OVERRIDE else None,
    )


def approval(
    request: PromotionRequest, policy: StagePolicy, context: PromotionContext, actor: str, now: datetime
) -> LedgerEntry:
    """The entry for somebody's approval, which speaks of the files that the newest evidence speaks of.

    Args:
        request: The promotion that they approve of, and their reason.

    Raises:
        NotTrusted: nobody has authenticated who is asking.
        PromotionRefused: it would not count, or there is nothing to approve yet.
    """
    check_may_approve(request.model, request.version, policy, actor, context.author)
    if not context.evidence:
        raise PromotionRefused(
            f"There is nothing to approve yet: no gate has been run on version {request.version} of "
            f"{request.model} for {policy.name}. Run: lifecycle gate run models:/{request.model}/"
            f"{request.version} --stage {policy.name}"
        )
    newest = context.evidence[-1]
    return LedgerEntry(
        sequence=0,
        at=now,
        action=Action.APPROVED,
        model=request.model,
        stage=policy.name,
        version=request.version,
        previous=context.holder,
        digest=newest.digest,
        actor=actor,
        reason=request.reason,
        evidence_id=newest.evidence_id,
    )


def demotion(
    model: str, version: int, policy: StagePolicy, context: PromotionContext, actor: str, now: datetime
) -> LedgerEntry:
    """The entry for a version that leaves a stage without another taking its place."""
    held = last_move(context.ledger, policy.name)
    return LedgerEntry(
        sequence=0,
        at=now,
        action=Action.DEMOTED,
        model=model,
        stage=policy.name,
        version=version,
        previous=version,
        digest=held.digest if held and held.version == version else "",
        actor=actor,
    )


def chained(entry: LedgerEntry, last: LedgerEntry | None) -> LedgerEntry:
    """The entry, numbered and sealed behind the last one of the model's ledger."""
    numbered = replace(entry, sequence=last.sequence + 1 if last else 1)
    return numbered.with_hash(last.hash if last else GENESIS)


def _is_so_already(
    request: PromotionRequest, context: PromotionContext, decision: Decision, last: LedgerEntry
) -> bool:
    """An override is not so already: evidence confirms it, and another one makes it last longer."""
    return (
        context.holder == request.version
        and (last.version, last.digest) == (request.version, decision.digest)
        and last.action is not Action.OVERRIDDEN
        and request.kind is not RequestKind.OVERRIDE
    )


def _check_same(request: PromotionRequest, policy: StagePolicy, earlier: LedgerEntry) -> None:
    if (earlier.stage, earlier.version) != (policy.name, request.version):
        raise Conflict(
            f"the key {request.key!r} was used before, to move version {earlier.version} to {earlier.stage}"
        )


def _check_expected(request: PromotionRequest, policy: StagePolicy, holder: int | None) -> None:
    if request.expected is None or request.expected == (holder or 0):
        return
    holds = f"version {holder} holds" if holder else "no version holds"
    expected = f"version {request.expected}" if request.expected else "none"
    raise Conflict(
        f"{holds} {policy.stage} of {request.model} now, where {expected} was expected: "
        f"somebody else was first. Run: lifecycle history {request.model}"
    )
