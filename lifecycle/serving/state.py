"""What one server process is doing right now, and how it is to behave. Touched by the event loop's thread only."""

from __future__ import annotations

from lifecycle.serving.message import Request
from lifecycle.serving.refusal import Refusal
from lifecycle.serving.release import Releases
from lifecycle.serving.settings import Settings


class State:
    """Which versions answer, whether more requests should come, and how many there are.

    Attributes:
        draining: Told to end: still answering, no longer ready.
        in_flight: Requests being read or scored.
    """

    def __init__(self, releases: Releases, settings: Settings) -> None:
        self.releases = releases
        self.settings = settings
        self.draining = False
        self.in_flight = 0

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self.releases.get(None) is not None and not self.draining

    def admit(self, request: Request) -> None:
        """Let a request in, before its body is read; :meth:`leave` follows. Raises Refusal 429 or 413."""
        if self.in_flight >= self.settings.max_in_flight:
            raise Refusal(429, "too many requests at once; try again", retry_after=1)
        declared = request.header(b"content-length")
        if declared is not None and int(declared) > self.settings.max_body:
            raise too_large(self.settings.max_body)
        self.in_flight += 1

    def leave(self) -> None:
        """A request that was let in has been answered, or nobody waits for it any more."""
        self.in_flight -= 1


def too_large(limit: int) -> Refusal:
    """For a body of more than ``limit`` bytes."""
    return Refusal(413, f"the body is larger than {limit / 2**20:g} MiB; send fewer rows at a time")
