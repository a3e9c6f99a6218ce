"""What a registry does about a request: the one rule that every implementation follows.

Pure: whoever calls it has locked the model, and writes what it says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import GENESIS, Action, LedgerEntry
from lifecycle.domain.policy import StagePolicy
from lifecycle.domain.promotion import Decision, Kind, PromotionRequest, decide
from lifecycle.errors import Conflict

UNAUTHENTICATED = "unauthenticated"
"""The actor where nobody checks who is asking."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is on record about a model.

    Attributes:
        evidence: For the version and stage in question, newest last.
        ledger: The model's whole ledger, oldest first.
        holder: The version in the stage now.
    """

    evidence: Sequence[Evidence]
    ledger: Sequence[LedgerEntry]
    holder: int | None


@dataclass(frozen=True, slots=True)
class Ruling:
    """The outcome of a request.

    Attributes:
        entry: The ledger entry that says so, sealed.
        is_new: Whether the entry is still to be appended; a repeated request has its entry already.
        places: Whether the version belongs in the stage now, and the stage's alias on the version.
    """

    entry: LedgerEntry
    is_new: bool
    places: bool


def rule(request: PromotionRequest, policy: StagePolicy, standing: Standing, actor: str, now: datetime) -> Ruling:
    """Decide about a request.

    Raises:
        Conflict: the stage no longer holds what the caller expected, or the key belongs to another request.
    """
    earlier = _entry_with_key(request, policy, standing.ledger)
    if earlier is not None:
        return Ruling(earlier, is_new=False, places=False)
    _check_expected(request, policy, standing.holder)
    decision = decide(request, policy, standing.evidence, standing.ledger, now)
    held = _newest_move(standing.ledger, policy.name, request.version)
    if decision.allowed and standing.holder == request.version and held and held.digest == decision.digest:
        return Ruling(held, is_new=False, places=True)
    entry = _entry(request, policy, decision, standing, actor, now)
    return Ruling(entry, is_new=True, places=decision.allowed)


def demotion(
    model: str, version: int, policy: StagePolicy, ledger: Sequence[LedgerEntry], actor: str, now: datetime
) -> LedgerEntry:
    """The sealed entry for a version that leaves a stage without another taking its place."""
    held = _newest_move(ledger, policy.name, version)
    return _chained(
        LedgerEntry(
            sequence=0,
            at=now,
            action=Action.DEMOTED,
            model=model,
            stage=policy.name,
            version=version,
            previous=version,
            digest=held.digest if held else "",
            actor=actor,
        ),
        ledger,
    )


def _entry(
    request: PromotionRequest,
    policy: StagePolicy,
    decision: Decision,
    standing: Standing,
    actor: str,
    now: datetime,
) -> LedgerEntry:
    move = Action.ROLLED_BACK if request.kind is Kind.ROLLBACK else Action.PROMOTED
    return _chained(
        LedgerEntry(
            sequence=0,
            at=now,
            action=move if decision.allowed else Action.REFUSED,
            model=request.model,
            stage=policy.name,
            version=request.version,
            previous=standing.holder,
            digest=decision.digest,
            actor=actor,
            requested_by=request.requested_by,
            reason=request.reason,
            evidence_id=decision.evidence_id,
            detail=decision.detail,
            key=request.key,
        ),
        standing.ledger,
    )


def _chained(entry: LedgerEntry, ledger: Sequence[LedgerEntry]) -> LedgerEntry:
    last = ledger[-1] if ledger else None
    numbered = replace(entry, sequence=last.sequence + 1 if last else 1)
    return numbered.sealed(last.hash if last else GENESIS)


def _entry_with_key(
    request: PromotionRequest, policy: StagePolicy, ledger: Sequence[LedgerEntry]
) -> LedgerEntry | None:
    earlier = next((e for e in ledger if request.key and e.key == request.key), None)
    if earlier and (earlier.stage, earlier.version) != (policy.name, request.version):
        raise Conflict(
            f"the key {request.key!r} was used before, to move version {earlier.version} to {earlier.stage}"
        )
    return earlier


def _check_expected(request: PromotionRequest, policy: StagePolicy, holder: int | None) -> None:
    if request.expected is None or request.expected == (holder or 0):
        return
    holds = f"version {holder} holds" if holder else "no version holds"
    expected = f"version {request.expected}" if request.expected else "none"
    raise Conflict(
        f"{holds} {policy.stage} of {request.model} now, where {expected} was expected: "
        f"somebody else was first. Run: lifecycle history {request.model}"
    )


def _newest_move(ledger: Sequence[LedgerEntry], stage: str, version: int) -> LedgerEntry | None:
    moves = [e for e in ledger if e.moved and (e.stage, e.version) == (stage, version)]
    return moves[-1] if moves else None
