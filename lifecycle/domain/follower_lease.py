"""Which of several followers works: a lease, kept as one line of text in a tag of the registered model.

A follower says ``NAME`` to take the lease or to keep it, and ``NAME released`` to give it back. What is kept is
``NAME until TIME``, by the registry's clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from lifecycle.errors import Conflict, UsageError

FOLLOWER_LEASE = timedelta(seconds=30)
"""How long a follower has the work for itself before it has to say that it still works."""

RELEASED = "released"

_NAME = re.compile(r"[A-Za-z0-9_.@:\-]{1,100}")
_UNTIL = " until "


def apply_lease(kept: str, said: str, now: datetime) -> str:
    """What is kept after a follower has spoken; empty for nothing.

    Args:
        kept: What is kept before; empty for nothing. Anything else than a lease counts as nothing.
        now: UTC, from the registry's clock.

    Raises:
        UsageError: nothing that a follower says.
        Conflict: another follower has the lease; names it.
    """
    name, _, rest = said.partition(" ")
    if not _NAME.fullmatch(name) or rest not in ("", RELEASED):
        raise UsageError(
            "a follower says its name (letters, digits and . _ @ : -), alone or with 'released' behind it"
        )
    holder, until = _parsed(kept)
    if holder not in ("", name) and now < until:
        raise Conflict(f"follower {holder} has the lease until {until:%H:%M:%S} UTC")
    return "" if rest else f"{name}{_UNTIL}{(now + FOLLOWER_LEASE).isoformat(timespec='milliseconds')}"


def _parsed(kept: str) -> tuple[str, datetime]:
    name, _, until = kept.partition(_UNTIL)
    try:
        return name, datetime.fromisoformat(until).astimezone(UTC)
    except ValueError:
        return "", datetime.min.replace(tzinfo=UTC)
