"""The queue of gate runs that refused promotions have requested, with leases for workers.

A worker reports on a gate run in one line of text: ``RUN``, ``RUN released`` or ``RUN failed: REASON``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.text import printable
from lifecycle.errors import Conflict, UsageError

LEASE = timedelta(minutes=2)
"""Duration of a worker's lease; the worker renews it while it runs the gates."""

MOST_STARTS = 3
"""A gate run is given up after three workers have died of it, or three failed starts."""

QUEUED, GIVEN_UP = "QUEUED", "GIVEN UP"
"""First words of the registry's text for a waiting gate run, and for one that was given up."""

_RUN = re.compile(r"[A-Za-z0-9_.@:\-]{1,100}")
_MAX_REASON_CHARS = 300


class ClaimAction(StrEnum):
    """What a worker reports on a gate run."""

    CLAIM = ""
    """It starts or continues to run the gates."""
    RELEASED = "released"
    """It stops without a verdict, for its own reasons; the next worker may start at once."""
    FAILED = "failed"
    """The gates cannot be run, for instance because a file is missing."""


@dataclass(frozen=True, slots=True)
class QueuedGates:
    """An open gate run, as a registry shows it.

    Attributes:
        stage: The policy's word.
        shown: The registry's readable text on it.
    """

    model: str
    version: int
    stage: str
    shown: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's report on a gate run.

    Attributes:
        run: The worker's name and a token that is unique to this start.
        reason: Why the gates cannot be run.
    """

    run: str
    action: ClaimAction = ClaimAction.CLAIM
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> Claim:
        """Parse a worker's line, as :meth:`__str__` writes it. Raises UsageError if it is no such line."""
        run, _, rest = text.partition(" ")
        word, _, reason = rest.partition(": ")
        if (
            not _RUN.fullmatch(run)
            or word not in tuple(ClaimAction)
            or bool(reason) != (word == ClaimAction.FAILED)
        ):
            raise UsageError(
                "a worker says its name (letters, digits and . _ @ : -), alone or with 'released' or "
                "'failed: REASON' behind it"
            )
        return cls(run, ClaimAction(word), printable(reason, _MAX_REASON_CHARS))

    def __str__(self) -> str:
        reason = printable(self.reason, _MAX_REASON_CHARS) or "no reason given"
        rest = f"{self.action}: {reason}" if self.action is ClaimAction.FAILED else self.action
        return f"{self.run} {rest}".strip()


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of an open gate run.

    Attributes:
        run: As in :class:`Claim`; None while no worker runs the gates.
        until: UTC; no other worker starts before then.
        starts: How often a worker has started.
    """

    run: str | None = None
    until: datetime | None = None
    starts: int = 0


@dataclass(frozen=True, slots=True)
class WaitingPromotion:
    """The promotion that waits for a queued gate run.

    Attributes:
        actor: Whose refused promotion it was.
    """

    request: PromotionRequest
    actor: str


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The result of a claim.

    Attributes:
        lease: The lease from now on; None when the gate run is closed.
        shown: Readable text on it.
        granted: Whether the claim is accepted; False when the gate run was given up.
    """

    lease: Lease | None
    shown: str
    granted: bool = True


def apply_claim(lease: Lease, claim: Claim, now: datetime) -> ClaimResult:
    """Apply a worker's report to an open gate run.

    Args:
        now: UTC, from the registry's clock.

    Raises:
        Conflict: another worker has it, or it is too soon to try again.
    """
    held = lease.until is not None and now < lease.until
    if claim.action is not ClaimAction.CLAIM:
        return _given_back(lease, claim, now)
    if held and lease.run != claim.run:
        raise Conflict(
            f"worker {lease.run} runs the gates already"
            if lease.run
            else f"the gates could not be run just now; try again after {lease.until:%H:%M:%S} UTC"
        )
    if not held and lease.starts >= MOST_STARTS:
        return ClaimResult(None, f"{GIVEN_UP}: {lease.starts} workers ended without a verdict", granted=False)
    starts = lease.starts if held else lease.starts + 1
    return ClaimResult(Lease(claim.run, now + LEASE, starts), f"RUNNING by {claim.run}")


def _given_back(lease: Lease, claim: Claim, now: datetime) -> ClaimResult:
    if lease.run != claim.run:
        raise Conflict("another worker has begun to run the gates" if lease.run else "no worker runs the gates")
    if claim.action is ClaimAction.RELEASED:
        return ClaimResult(Lease(starts=lease.starts - 1), QUEUED)
    if lease.starts >= MOST_STARTS:
        return ClaimResult(None, f"{GIVEN_UP} after {lease.starts} tries: {claim.reason}")
    shown = f"{QUEUED}, could not be run ({lease.starts} of {MOST_STARTS} tries): {claim.reason}"
    return ClaimResult(replace(lease, run=None, until=now + LEASE), shown)
