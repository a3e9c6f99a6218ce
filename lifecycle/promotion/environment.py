"""Models that are environments themselves (``prod.flights-delay``): a copy into one is a promotion."""

from __future__ import annotations

from dataclasses import replace

from lifecycle.domain.ledger import Action, LedgerEntry
from lifecycle.domain.promotion.decide import Decision
from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.promotion.guard import Guard
from lifecycle.promotion.transaction import ModelTransaction, holder_of


def admit(
    guard: Guard, source: ModelTransaction, version: int, into: str, actor: str, digest: str | None
) -> LedgerEntry | Decision:
    """Whether a version may be copied into the environment model ``into``, by the version's own policy.

    Returns:
        The decision that allows it; or the entry that refuses it, written to the ledger of the version.

    Raises:
        NotFound: the version's model has no such stage.
    """
    environment = guard.policies.of(into).environment or ""
    request = PromotionRequest(source.name, version, environment)
    decision, entry = guard.consider(source, request, actor, digest)
    if decision.allowed:
        return decision
    detail = entry.detail.replace("may not go to", f"may not be copied into {into}, which stands for", 1)
    return guard.append(source, replace(entry, detail=detail))


def arrive(
    guard: Guard, model: ModelTransaction, version: int, source: str, decision: Decision, actor: str
) -> None:
    """Put the copy, which is there now, into the environment's stage, and record the promotion."""
    policies = guard.policies.of(model.name)
    policy = policies.stage(policies.environment or "")
    previous = holder_of(model, policy)
    guard.place(model, version, policy)
    guard.append(
        model,
        LedgerEntry(
            sequence=0,
            at=guard.clock(),
            action=Action.PROMOTED,
            model=model.name,
            stage=policy.name,
            version=version,
            previous=previous,
            digest=decision.digest,
            actor=actor,
            reason=f"copied from {source}",
            evidence_id=decision.evidence_id,
        ),
    )
