"""What is told about a request once it has been answered: to metrics, logs, traces and the capture of payloads."""

from __future__ import annotations

from typing import Protocol

from lifecycle.scoring.contract import Predictions
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request
from lifecycle.serving.release import Release


class Exchange:
    """One request and how it went. Times are seconds of ``time.perf_counter``; 0 for a stage not reached.

    Attributes:
        codec: Name of the protocol; empty for pages.
        release: Which version answered; None when it did not get that far.
        call, predictions: What was asked and answered; None when it did not get that far. Not to be changed.
        read, decoded, scored, done: When the body was there, the rows, the predictions and the answer.
    """

    __slots__ = (
        "call",
        "codec",
        "decoded",
        "done",
        "predictions",
        "read",
        "release",
        "request",
        "scored",
        "sent",
        "status",
    )

    def __init__(self, request: Request, codec: str) -> None:
        self.request = request
        self.codec = codec
        self.release: Release | None = None
        self.call: Call | None = None
        self.predictions: Predictions | None = None
        self.status = 0
        self.sent = 0
        self.read = self.decoded = self.scored = self.done = 0.0


class Observer(Protocol):
    """Whoever wants to know. On the hot path: microseconds, no waiting, and it never raises."""

    def observe(self, exchange: Exchange) -> None:
        """Take note of an answered request."""
        ...
