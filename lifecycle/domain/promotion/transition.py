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
from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
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

    def point(self, alias: str, version: int | None) -> None:
        """Point an alias to a version, or remove it."""

    def enqueue(self, request: PromotionRequest, actor: str) -> None:
        """Queue a gate run, unless one is queued already."""

    def append(self, entry: LedgerEntry) -> LedgerEntry:
        """Number, hash and write a ledger entry."""

    def show(self, entry: LedgerEntry, signed: str) -> None:
        """Show the version's history and what its move rests on, where people look."""


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
    rule = _Rule(context, policies, policies.stage(request.stage), actor, now)
    match request:
        case PromotionRequest():
            return rule.promotion(request)
        case ApprovalRequest():
            return rule.approval(request)
        case Demotion():
            return rule.demotion(request)
        case Adoption():
            return rule.adoption(request)
        case CopyRequest():
            return rule.copy(request)
        case CopyArrival():
            return rule.arrival(request)


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
    return _Rule(replace(context, earlier=None), policies, once, waiting.actor, now).promotion(request)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a request to one stage leads to."""

    context: PromotionContext
    policies: ModelPolicy
    policy: StagePolicy
    actor: str
    now: datetime

    def promotion(self, request: PromotionRequest) -> Transition:
        earlier, holder = self.context.earlier, self.context.holder(self.policy.name)
        if earlier is not None:
            self._check_same(request, earlier)
            return Transition(earlier, is_new=False)
        self._check_expected(request, holder)
        decision = decide(request, self.policy, self.context, self.now)
        if not decision.allowed:
            return self._refusal(request, decision)
        aliases = self._aliases_after(request.version)
        last = last_move(self.context.ledger, self.policy.name)
        overrides = request.kind is RequestKind.OVERRIDE  # which can be confirmed or extended
        if last and last.action is not Action.OVERRIDDEN and not overrides:
            wanted = (request.version, request.version, decision.digest)
            if (holder, last.version, last.digest) == wanted:  # it is so already
                return Transition(last, is_new=False, entered=self.policy, aliases=aliases)
        entry = self._asked(request, decision)
        return Transition(entry, entered=self.policy, aliases=aliases, signed=request.signed)

    def approval(self, request: ApprovalRequest) -> Transition:
        """An approval speaks of the files that the newest evidence speaks of."""
        model, version, stage = request.model, request.version, self.policy.name
        check_may_approve(model, version, self.policy, self.actor, self.context.author)
        if not self.context.evidence:
            raise PromotionRefused(
                f"There is nothing to approve yet: no gate has been run on version {version} of {model} for "
                f"{stage}. Run: lifecycle gate run models:/{model}/{version} --stage {stage}"
            )
        newest = self.context.evidence[-1]
        found = {"digest": newest.digest, "evidence_id": newest.evidence_id}
        return Transition(self._entry(request, Action.APPROVED, reason=request.reason, **found))

    def demotion(self, request: Demotion) -> Transition:
        """The version leaves, and no other takes its place."""
        aliases = self._aliases_after()
        if self.policy.is_alias_alone and self.policy.alias:
            aliases = {**aliases, self.policy.alias: None}
        last = last_move(self.context.ledger, self.policy.name)
        digest = last.digest if last and last.version == request.version else ""
        entry = self._entry(request, Action.DEMOTED, previous=request.version, digest=digest)
        return Transition(entry, aliases=aliases)

    def adoption(self, request: Adoption) -> Transition:
        entry = self._entry(
            request,
            Action.ADOPTED,
            previous=None,
            actor=UNAUTHENTICATED,
            requested_by=request.requested_by,
            reason=request.reason,
            detail=f"held {request.held} when the guard came; nothing has been checked",
        )
        return Transition(entry)

    def copy(self, request: CopyRequest) -> Transition:
        """A copy that is allowed is recorded where it arrives; a refusal here, with the version."""
        asked = PromotionRequest(request.model, request.version, self.policy.name)
        decision = decide(asked, self.policy, self.context, self.now)
        entry = self._asked(asked, decision)
        into = f"may not be copied into {request.into}, which stands for"
        detail = entry.detail.replace("may not go to", into, 1)
        return Transition(replace(entry, detail=detail), is_new=not decision.allowed)

    def arrival(self, request: CopyArrival) -> Transition:
        found = {"digest": request.digest, "evidence_id": request.evidence_id}
        entry = self._entry(request, Action.PROMOTED, reason=f"copied from {request.source}", **found)
        aliases = self._aliases_after(request.version)
        return Transition(entry, entered=self.policy, aliases=aliases, signed=request.signed)

    def _refusal(self, request: PromotionRequest, decision: Decision) -> Transition:
        """A refusal; where the policy says so, one for want of a gate run queues a gate run."""
        entry = self._asked(request, decision)
        if not (decision.unjudged and self.policy.on_missing is OnMissing.ENQUEUE):
            return Transition(entry)
        then = "and promotes it if they pass" if self.policy.auto_promote else "then ask again"
        detail = f"{entry.detail}, or wait: its gates are queued, a lifecycle worker runs them, {then}"
        return Transition(replace(entry, detail=detail), enqueue=request)

    def _asked(self, request: PromotionRequest, decision: Decision) -> LedgerEntry:
        return self._entry(
            request,
            _MOVE[request.kind] if decision.allowed else Action.REFUSED,
            digest=decision.digest,
            requested_by=request.requested_by,
            reason=request.reason,
            evidence_id=decision.evidence_id,
            detail=decision.detail,
            key=request.key,
            until=request.until if request.kind is RequestKind.OVERRIDE else None,
        )

    def _entry(self, request: StageRequest, action: Action, **fields: Any) -> LedgerEntry:
        """The one place where entries are made. The ledger numbers and hashes them."""
        known = {"actor": self.actor, "previous": self.context.holder(self.policy.name)} | fields
        return LedgerEntry(0, self.now, action, request.model, self.policy.name, request.version, **known)

    def _aliases_after(self, entering: int | None = None) -> dict[str, int | None]:
        """The guarded aliases that have to change so that each points to the version in its stage, or to none.

        A version that enters the stage leaves the others, except where the stage is an alias alone: that is beside
        them.
        """
        changes: dict[str, int | None] = {}
        for policy in self.policies.stages:
            holders = self.context.holders.get(policy.name, ())
            if entering is not None and policy.name == self.policy.name:
                holders = (entering,)
            elif entering is not None and not self.policy.is_alias_alone:
                holders = tuple(held for held in holders if held != entering)
            holder = max(holders, default=None)
            if policy.alias and self.context.aliases.get(policy.alias) != holder:
                changes[policy.alias] = holder
        return changes

    def _check_same(self, request: PromotionRequest, earlier: LedgerEntry) -> None:
        if (earlier.stage, earlier.version) != (self.policy.name, request.version):
            raise Conflict(
                f"the key {request.key!r} was used before, to move version {earlier.version} to {earlier.stage}"
            )

    def _check_expected(self, request: PromotionRequest, holder: int | None) -> None:
        if request.expected is None or request.expected == (holder or 0):
            return
        holds = f"version {holder} holds" if holder else "no version holds"
        expected = f"version {request.expected}" if request.expected else "none"
        raise Conflict(
            f"{holds} {self.policy.where} of {request.model} now, where {expected} was expected: "
            f"it was promoted meanwhile. Run: lifecycle history {request.model}"
        )
