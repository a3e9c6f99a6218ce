"""What is kept of a request for its trace: everything but its rows."""

from __future__ import annotations

from typing import NamedTuple

from lifecycle.serving.control import Desired
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing.identity import identify


class Record(NamedTuple):
    """Small, plain values of one request. Times as in :class:`Exchange`: seconds of ``time.perf_counter``."""

    id: str
    method: str
    route: str
    protocol: str
    desired: Desired | None
    status: int
    reason: str
    rows: int
    received: int
    sent: int
    arrived: float
    read: float
    decoded: float
    scored: float
    done: float

    def stages(self) -> dict[str, tuple[float, float]]:
        """Start and end of each stage that the request reached."""
        stages = {}
        if self.read:
            stages["read"] = self.arrived, self.read
        if self.decoded:
            stages["decode"] = self.read, self.decoded
        if self.scored:
            stages["score"] = self.decoded, self.scored
            stages["encode"] = self.scored, self.done
        return stages


def record_of(exchange: Exchange) -> Record:
    """Make the record of an exchange. Takes 2 µs."""
    request, release, call, refusal = exchange.request, exchange.release, exchange.call, exchange.refusal
    return Record(
        identify(request),
        request.method,
        exchange.route,
        exchange.codec,
        None if release is None else release.desired,
        exchange.status,
        "" if refusal is None else refusal.code,
        0 if call is None else call.rows,
        len(request.body),
        exchange.sent,
        request.arrived,
        exchange.read,
        exchange.decoded,
        exchange.scored,
        exchange.done,
    )
