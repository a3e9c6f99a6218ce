"""What a request leads to: the one rule that every registry follows.

:func:`transition` is pure: recorded state and request in, effects out. The caller has locked the model, and
:func:`carry_out` has an executor do what it says: SQL in the guard's transaction, memory, or MLflow's client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from lifecycle.domain.gate_queue import WaitingPromotion
from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.policy import ModelPolicy, OnMissing, StagePolicy
from lifecycle.domain.promotion.decide import Decision, check_may_approve, decide, last_move
from lifecycle.domain.promotion.request import (
    Adoption,
    ApprovalRequest,
    CopyArrival,
    CopyRequest,
    Demotion,
    PromotionContext,
    PromotionRequest,
    RequestKind,
    StageRequest,
)
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import Conflict, PromotionRefused

_MOVE = {
    RequestKind.PROMOTE: Action.PROMOTED,
    RequestKind.ROLLBACK: Action.ROLLED_BACK,
    RequestKind.OVERRIDE: Action.OVERRIDDEN,
}


@dataclass(frozen=True, slots=True)
class Transition:
    """The effects of a request, in the order in which they are carried out.

    Attributes:
        entry: The ledger entry that answers the request, not yet numbered and hashed where it is new.
        is_new: Whether the entry has to be appended; a repeated request has its entry already.
        entered: The stage that the entry's version enters, if it enters one.
        aliases: Where aliases have to point from now on; None: to nothing.
        enqueue: The request that a gate run is queued for, if one is.
        signed: The signed override, or the evidence of a copy's origin, to show beside the move.
    """

    entry: LedgerEntry
    is_new: bool = True
    entered: StagePolicy | None = None
    aliases: Mapping[str, int | None] = field(default_factory=dict)
    enqueue: PromotionRequest | None = None
    signed: str = ""

    @property
    def refused(self) -> bool:
        """Whether the answer is no."""
        return self.entry.action is Action.REFUSED


class PromotionExecutor(Protocol):
    """Writes the effects of a transition into one registry, for one model."""

    def place(self, version: int, stage: str) -> None:
        """Put a version into MLflow's stage and archive every other version there."""
        ...

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""
        ...

    def enqueue(self, request: PromotionRequest, actor: str) -> None:
        """Queue a gate run, unless one is queued already."""
        ...

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Number, hash and write a ledger entry."""
        ...

    def show(self, entry: LedgerEntry, signed: str) -> None:
        """Show the version's history and what its move rests on, where people look."""
        ...


def carry_out(found: Transition, executor: PromotionExecutor) -> LedgerEntry:
    """Have an executor write the effects; returns the entry as it stands in the ledger."""
    if found.entered and found.entered.stage:
        executor.place(found.entry.version, found.entered.stage)
    for alias, version in found.aliases.items():
        executor.point(alias, version)
    if found.enqueue:
        executor.enqueue(found.enqueue, found.entry.actor)
    entry = executor.append(found.entry) if found.is_new else found.entry
    if found.is_new or found.entered:  # what was so already is shown again: its tags may have been removed
        executor.show(entry, found.signed)
    return entry


def transition(
    context: PromotionContext, request: StageRequest, policies: ModelPolicy, actor: str, now: datetime
) -> Transition:
    """The effects of a request.

    Args:
        actor: Who asks, as the registry authenticated them.
        now: UTC, from the clock of the side that decides.

    Raises:
        Conflict: the stage no longer holds what the caller expected, or the key belongs to another request.
        NotTrusted, PromotionRefused: an approval that would not count. A refused promotion is an entry instead.
    """
    policy = policies.stage(request.stage)
    match request:
        case PromotionRequest():
            return _promotion(context, request, policies, policy, actor, now)
        case ApprovalRequest():
            return Transition(_approval(context, request, policy, actor, now))
        case Demotion():
            return _demotion(context, request, policies, actor, now)
        case Adoption():
            return Transition(_adoption(request, policy, now))
        case CopyRequest():
            return _copy(context, request, policy, actor, now)
        case CopyArrival():
            return _arrival(context, request, policies, actor, now)


def complete(
    context: PromotionContext, waiting: WaitingPromotion, outcome: Outcome, policies: ModelPolicy, now: datetime
) -> Transition | None:
    """The promotion that waited for a gate run, now that its evidence is here; None: it must be asked for again.

    Evidence that is not accepted here, such as that of a worker with another policy, queues no further run: the
    next would end in the same way.
    """
    policy = policies.stage(waiting.request.stage)
    if not policy.auto_promote or outcome is not Outcome.PASSED:
        return None
    request = replace(waiting.request, kind=RequestKind.PROMOTE, expected=None, key="")
    once = replace(policy, on_missing=OnMissing.REFUSE)
    return _promotion(replace(context, earlier=None), request, policies, once, waiting.actor, now)


def _promotion(
    context: PromotionContext,
    request: PromotionRequest,
    policies: ModelPolicy,
    policy: StagePolicy,
    actor: str,
    now: datetime,
) -> Transition:
    if context.earlier is not None:
        _check_same(request, policy, context.earlier)
        return Transition(context.earlier, is_new=False)
    _check_expected(request, policy, context.holder(policy.name))
    decision = decide(request, policy, context, now)
    if not decision.allowed:
        return _refusal(context, request, policy, decision, actor, now)
    aliases = _aliases_after(context, policies, policy, request.version)
    last = last_move(context.ledger, policy.name)
    if last and _is_so_already(request, policy, context, decision, last):
        return Transition(last, is_new=False, entered=policy, aliases=aliases)
    entry = _asked(context, request, policy, decision, actor, now)
    return Transition(entry, entered=policy, aliases=aliases, signed=request.signed)


def _refusal(
    context: PromotionContext,
    request: PromotionRequest,
    policy: StagePolicy,
    decision: Decision,
    actor: str,
    now: datetime,
) -> Transition:
    """A refusal; where the policy says so, one for want of a gate run queues a gate run."""
    entry = _asked(context, request, policy, decision, actor, now)
    if not (decision.unjudged and policy.on_missing is OnMissing.ENQUEUE):
        return Transition(entry)
    then = "and promotes it if they pass" if policy.auto_promote else "then ask again"
    detail = f"{entry.detail}, or wait: its gates are queued, a lifecycle worker runs them, {then}"
    return Transition(replace(entry, detail=detail), enqueue=request)


def _asked(
    context: PromotionContext,
    request: PromotionRequest,
    policy: StagePolicy,
    decision: Decision,
    actor: str,
    now: datetime,
) -> LedgerEntry:
    return _entry(
        request,
        policy,
        now,
        _MOVE[request.kind] if decision.allowed else Action.REFUSED,
        previous=context.holder(policy.name),
        digest=decision.digest,
        actor=actor,
        requested_by=request.requested_by,
        reason=request.reason,
        evidence_id=decision.evidence_id,
        detail=decision.detail,
        key=request.key,
        until=request.until if request.kind is RequestKind.OVERRIDE else None,
    )


def _approval(
    context: PromotionContext, request: ApprovalRequest, policy: StagePolicy, actor: str, now: datetime
) -> LedgerEntry:
    """An approval speaks of the files that the newest evidence speaks of."""
    check_may_approve(request.model, request.version, policy, actor, context.author)
    if not context.evidence:
        raise PromotionRefused(
            f"There is nothing to approve yet: no gate has been run on version {request.version} of "
            f"{request.model} for {policy.name}. Run: lifecycle gate run models:/{request.model}/"
            f"{request.version} --stage {policy.name}"
        )
    newest = context.evidence[-1]
    return _entry(
        request,
        policy,
        now,
        Action.APPROVED,
        previous=context.holder(policy.name),
        digest=newest.digest,
        actor=actor,
        reason=request.reason,
        evidence_id=newest.evidence_id,
    )


def _demotion(
    context: PromotionContext, request: Demotion, policies: ModelPolicy, actor: str, now: datetime
) -> Transition:
    """The version leaves, and no other takes its place."""
    policy = policies.stage(request.stage)
    aliases = _aliases_after(context, policies)
    if policy.is_alias_alone and policy.alias:
        aliases = {**aliases, policy.alias: None}
    last = last_move(context.ledger, policy.name)
    digest = last.digest if last and last.version == request.version else ""
    entry = _entry(request, policy, now, Action.DEMOTED, previous=request.version, digest=digest, actor=actor)
    return Transition(entry, aliases=aliases)


def _adoption(request: Adoption, policy: StagePolicy, now: datetime) -> LedgerEntry:
    return _entry(
        request,
        policy,
        now,
        Action.ADOPTED,
        requested_by=request.requested_by,
        reason=request.reason,
        detail=f"held {request.held} when the guard came; nothing has been checked",
    )


def _copy(
    context: PromotionContext, request: CopyRequest, policy: StagePolicy, actor: str, now: datetime
) -> Transition:
    """A copy that is allowed is recorded where it arrives; a refusal here, with the version."""
    asked = PromotionRequest(request.model, request.version, policy.name)
    decision = decide(asked, policy, context, now)
    entry = _asked(context, asked, policy, decision, actor, now)
    into = f"may not be copied into {request.into}, which stands for"
    detail = entry.detail.replace("may not go to", into, 1)
    return Transition(replace(entry, detail=detail), is_new=not decision.allowed)


def _arrival(
    context: PromotionContext, request: CopyArrival, policies: ModelPolicy, actor: str, now: datetime
) -> Transition:
    policy = policies.stage(request.stage)
    entry = _entry(
        request,
        policy,
        now,
        Action.PROMOTED,
        previous=context.holder(policy.name),
        digest=request.digest,
        actor=actor,
        reason=f"copied from {request.source}",
        evidence_id=request.evidence_id,
    )
    aliases = _aliases_after(context, policies, policy, request.version)
    return Transition(entry, entered=policy, aliases=aliases, signed=request.signed)


def _entry(
    request: StageRequest, policy: StagePolicy, now: datetime, action: Action, **fields: Any
) -> LedgerEntry:
    """The one place where entries are made. The ledger numbers and hashes them."""
    return LedgerEntry(
        sequence=0,
        at=now,
        action=action,
        model=request.model,
        stage=policy.name,
        version=request.version,
        **fields,
    )


def _aliases_after(
    context: PromotionContext, policies: ModelPolicy, entered: StagePolicy | None = None, version: int = 0
) -> dict[str, int | None]:
    """The guarded aliases that have to change so that each points to the version in its stage, or to none.

    A version that enters a stage leaves the others, except where the stage is an alias alone: that is beside them.
    """
    changes: dict[str, int | None] = {}
    for policy in policies.stages:
        holders = context.holders.get(policy.name, ())
        if entered and policy.name == entered.name:
            holders = (version,)
        elif entered and not entered.is_alias_alone:
            holders = tuple(held for held in holders if held != version)
        holder = max(holders, default=None)
        if policy.alias and context.aliases.get(policy.alias) != holder:
            changes[policy.alias] = holder
    return changes


def _is_so_already(
    request: PromotionRequest,
    policy: StagePolicy,
    context: PromotionContext,
    decision: Decision,
    last: LedgerEntry,
) -> bool:
    """Whether the stage already is as requested. For an override never: it can be confirmed or extended."""
    return (
        context.holder(policy.name) == request.version
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
        f"{holds} {policy.where} of {request.model} now, where {expected} was expected: "
        f"it was promoted meanwhile. Run: lifecycle history {request.model}"
    )
