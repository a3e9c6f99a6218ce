"""Four eyes: how many people, besides its author, have approved a version for a stage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifecycle.domain.ledger import UNAUTHENTICATED, Action, LedgerEntry
from lifecycle.domain.look_alike import alike
from lifecycle.domain.policy import StagePolicy
from lifecycle.errors import NotTrusted, PromotionRefused


def approvers_of(
    version: int,
    digest: str,
    policy: StagePolicy,
    ledger: Sequence[LedgerEntry],
    author: str | None,
    now: datetime,
) -> set[str]:
    """Who has approved these very files of the version for the stage, and may.

    An approval is worth as much time as evidence is (``max_age``). Names that a database of users may take for
    the same are one person.
    """
    given: list[str] = []
    for entry in ledger:
        if (
            entry.action is Action.APPROVED
            and (entry.stage, entry.version, entry.digest) == (policy.name, version, digest)
            and entry.at > now - policy.max_age
            and _may(entry.actor, policy)
            and not any(alike(entry.actor, other) for other in (*given, author or ""))
        ):
            given.append(entry.actor)
    return set(given)


def approvals_needed(policy: StagePolicy, author: str | None) -> int:
    """How many approvals make sure that ``policy.approvals`` people who are not the author have approved.

    Where nobody knows the author, one of those who approved may be the one.
    """
    return policy.approvals + 1 if policy.approvals and author is None else policy.approvals


def check_may_approve(model: str, version: int, policy: StagePolicy, actor: str, author: str | None) -> None:
    """Refuse an approval that would not count.

    Raises:
        NotTrusted: nobody has authenticated who is asking.
        PromotionRefused: the policy does not list them, or they registered the version themselves.
    """
    subject = f"version {version} of {model} for {policy.name}"
    if actor == UNAUTHENTICATED:
        raise NotTrusted(
            f"You may not approve {subject}: an approval needs somebody who has signed in. "
            f"Start the server with --app-name basic-auth"
        )
    if author is not None and alike(actor, author):
        raise PromotionRefused(
            f"{actor} may not approve {subject}: they registered it, and four eyes are demanded"
        )
    if not _may(actor, policy):
        raise PromotionRefused(f"{actor} may not approve {subject}: the policy lists {_listed(policy)}")


def _may(actor: str, policy: StagePolicy) -> bool:
    return actor != UNAUTHENTICATED and (not policy.approvers or actor in policy.approvers)


def _listed(policy: StagePolicy) -> str:
    return ", ".join(sorted(policy.approvers))
