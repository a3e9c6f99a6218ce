"""How often somebody at an address was not known of late.

Whoever has a key is let in however many guesses came from the same address: behind a proxy that is everybody's
address, and a lock would be a way to keep everybody out. Guessing gains nothing by that. A key has 256 random
bits and a token a signature, so what counts is that a guess costs us microseconds and is seen in the log.
"""

from __future__ import annotations

import ipaddress
import logging
import math
from collections.abc import Callable
from time import monotonic

_LOG = logging.getLogger(__name__)
LIMIT = 20
WINDOW_S = 60.0
_ADDRESSES = 4096


class Failures:
    """Counts, for each address, in windows of a minute. Bounded: of too many addresses, the first is forgotten."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def count(self, peer: str) -> int:
        """One more. Returns 0, or in how many seconds another attempt would be looked at more kindly."""
        address, now = _network(peer), self._clock()
        number, until = self._seen.get(address, (0, 0.0))
        if now >= until:
            number, until = 0, now + WINDOW_S
            self._seen.pop(address, None)  # to the end: the order is that of the windows
            if len(self._seen) >= _ADDRESSES:
                del self._seen[next(iter(self._seen))]
        self._seen[address] = (number + 1, until)
        if number + 1 == LIMIT + 1:
            _LOG.warning("more than %d requests of a minute from %s had no key that counts", LIMIT, address)
        return 0 if number < LIMIT else max(1, math.ceil(until - now))


def _network(peer: str) -> str:
    """One household of IPv6 has 2^64 addresses, and is one address here."""
    if ":" not in peer:
        return peer
    try:
        return str(ipaddress.ip_network((peer.partition("%")[0], 64), strict=False))
    except ValueError:
        return peer
