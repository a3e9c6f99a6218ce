"""Counts of failed authentication per address.

A caller with a valid key is admitted whatever the count: behind a proxy all callers share one
address, and a lock would shut all of them out. Guessing gains nothing by that: a key has 256 random
bits and a token a signature. What counts is that a guess costs microseconds and is seen in the log.
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
    """Counts per address in windows of a minute. Bounded: with too many addresses, the oldest is dropped."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def count(self, peer: str) -> int:
        """Count one failure. Returns 0, or the seconds until another attempt is accepted."""
        address, now = _network(peer), self._clock()
        number, until = self._seen.get(address, (0, 0.0))
        if now >= until:
            number, until = 0, now + WINDOW_S
            self._seen.pop(address, None)  # moved to the end, as the order is that of the windows
            if len(self._seen) >= _ADDRESSES:
                del self._seen[next(iter(self._seen))]
        self._seen[address] = (number + 1, until)
        if number + 1 == LIMIT + 1:
            _LOG.warning("more than %d requests of a minute from %s had no valid key", LIMIT, address)
        return 0 if number < LIMIT else max(1, math.ceil(until - now))


def _network(peer: str) -> str:
    """An IPv6 household has 2^64 addresses, which count as one."""
    if ":" not in peer:
        return peer
    try:
        return str(ipaddress.ip_network((peer.partition("%")[0], 64), strict=False))
    except ValueError:
        return peer
