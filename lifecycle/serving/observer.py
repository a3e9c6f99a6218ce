"""Observers of answered requests: metrics, logs, traces and captured payloads."""

from __future__ import annotations

from typing import Protocol

from lifecycle.scoring.contract import Predictions
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release

CLIENT_GONE = 499
"""Status of an exchange whose client disconnected before the answer; nginx's number for it, never sent."""


class Exchange:
    """One request and how it went. Times are seconds of ``time.perf_counter``; 0 for a stage not reached.

    Attributes:
        codec: Name of the protocol; empty for pages.
        route: The path's pattern, such as ``/v2/models/{model}/infer``; empty when no route takes the path.
        release: The version that answered; None when the request did not get that far.
        call, predictions: Decoded request and predictions; None when not reached. Observers may keep
            them for a while, so neither the arrays nor what they are views of may be changed or used again.
        refusal: The refusal; None when the request was answered.
        read, decoded, scored, done: Times at which body, rows, predictions and answer were complete.
    """

    __slots__ = (
        "call",
        "codec",
        "decoded",
        "done",
        "predictions",
        "read",
        "refusal",
        "release",
        "request",
        "route",
        "scored",
        "sent",
        "status",
    )

    def __init__(self, request: Request, codec: str) -> None:
        self.request = request
        self.codec = codec
        self.route = ""
        self.release: Release | None = None
        self.call: Call | None = None
        self.predictions: Predictions | None = None
        self.refusal: Refusal | None = None
        self.status = 0
        self.sent = 0
        self.read = self.decoded = self.scored = self.done = 0.0


class Observer(Protocol):
    """Receives every finished exchange."""

    def observe(self, exchange: Exchange) -> None:
        """Record an exchange before its answer is sent. On the hot path: microseconds, never waits or raises."""
        ...

    def close(self) -> None:
        """Write what is still buffered, before the worker ends. May take a second; idempotent."""
        ...


class Exposition(Protocol):
    """The counts of all workers of a deployment, for Prometheus."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """Prometheus text or OpenMetrics, by the Accept header, and its Content-Type."""
        ...
