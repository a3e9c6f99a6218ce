"""Gate runs that refused promotions have asked for, and which worker has one to itself.

A worker speaks of a gate run in one line of text: ``RUN``, ``RUN released`` or ``RUN failed: REASON``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from lifecycle.domain.promotion.request import PromotionRequest
from lifecycle.domain.sanitize import printable
from lifecycle.errors import Conflict, UsageError

LEASE = timedelta(minutes=2)
"""How long a worker has a gate run for itself before it has to say that it is still at it."""

MOST_STARTS = 3
"""A gate run that took three workers down, or that could not be begun three times, is given up."""

QUEUED, GIVEN_UP = "QUEUED", "GIVEN UP"
"""How the registry begins to say of a gate run that it waits, and that nothing came of it."""

_RUN = re.compile(r"[A-Za-z0-9_.@:\-]{1,100}")
_MAX_REASON_CHARS = 300


class ClaimAction(StrEnum):
    """What a worker says of a gate run."""

    CLAIM = ""
    """It runs the gates, from now on or still."""
    RELEASED = "released"
    """It stops before there is a verdict and is not to blame: the next worker may begin at once."""
    FAILED = "failed"
    """The gates cannot be run, such as for want of a file."""


@dataclass(frozen=True, slots=True)
class QueuedGates:
    """An open gate run, as a registry shows it.

    Attributes:
        stage: The policy's word.
        shown: What the registry says of it, for people.
    """

    model: str
    version: int
    stage: str
    shown: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a worker says.

    Attributes:
        run: The worker's name and what no other start has, of this worker or another.
        reason: Why the gates cannot be run.
    """

    run: str
    action: ClaimAction = ClaimAction.CLAIM
    reason: str = ""

    @classmethod
    def parse(cls, text: str) -> Claim:
        """Read what :meth:`__str__` wrote, or whatever else somebody says.

        Raises:
            UsageError: it is no such line.
        """
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
    """Who has an open gate run.

    Attributes:
        run: As in :class:`Claim`; None where nobody runs the gates.
        until: UTC; nobody else begins before then.
        starts: How often somebody has begun.
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
    """What comes of a claim.

    Attributes:
        lease: Who has the gate run now; None: it is closed.
        shown: What to say of it, for people.
        granted: Whether things are as the worker says; False: it was about to begin what is given up.
    """

    lease: Lease | None
    shown: str
    granted: bool = True


def apply_claim(lease: Lease, claim: Claim, now: datetime) -> ClaimResult:
    """What a worker's line makes of an open gate run.

    Args:
        now: UTC, from the clock of whoever decides.

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
        raise Conflict("another worker has begun to run the gates" if lease.run else "nobody runs the gates")
    if claim.action is ClaimAction.RELEASED:
        return ClaimResult(Lease(starts=lease.starts - 1), QUEUED)
    if lease.starts >= MOST_STARTS:
        return ClaimResult(None, f"{GIVEN_UP} after {lease.starts} tries: {claim.reason}")
    shown = f"{QUEUED}, could not be run ({lease.starts} of {MOST_STARTS} tries): {claim.reason}"
    return ClaimResult(replace(lease, run=None, until=now + LEASE), shown)
