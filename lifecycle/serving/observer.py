"""What is told about a request once it has been answered: to metrics, logs, traces and the capture of payloads."""

from __future__ import annotations

from typing import Protocol

from lifecycle.scoring.contract import Predictions
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Release

CLIENT_GONE = 499
"""The status of an exchange whose client hung up before it was answered. nginx's number for it; never sent."""


class Exchange:
    """One request and how it went. Times are seconds of ``time.perf_counter``; 0 for a stage not reached.

    Attributes:
        codec: Name of the protocol; empty for pages.
        route: The path's pattern, such as ``/v2/models/{model}/infer``; empty when no route takes the path.
        release: Which version answered; None when it did not get that far.
        call, predictions: What was asked and answered; None when it did not get that far. Observers may keep
            them for a while, so neither the arrays nor what they are views of may be changed or used again.
        refusal: Why it was refused; None when it was not.
        read, decoded, scored, done: When the body was there, the rows, the predictions and the answer.
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
    """Whoever wants to know."""

    def observe(self, exchange: Exchange) -> None:
        """Take note of a request whose answer is ready. On the hot path: microseconds, no waiting, no raising."""
        ...

    def close(self) -> None:
        """Write down what is still held back, before the worker ends. May take a second; idempotent."""
        ...


class Exposition(Protocol):
    """The counts of all workers of a deployment, as a scraper reads them."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """Prometheus text or OpenMetrics, as the Accept header asks, and its Content-Type."""
        ...
