"""The state of one server process. Used by the event loop's thread only."""

from __future__ import annotations

from lifecycle.serving.measures import Measures
from lifecycle.serving.message import Request
from lifecycle.serving.observer import Exposition
from lifecycle.serving.refusal import Refusal, too_large
from lifecycle.serving.release import Releases
from lifecycle.serving.settings import Settings

TIMEOUT = b"x-lifecycle-timeout-ms"
"""Header with the milliseconds that the client waits."""
_DIGITS = 18


class State:
    """Which versions answer, whether the server is ready, and how many requests it has.

    Attributes:
        draining: Whether it is ending: it still answers but is not ready.
        in_flight: Requests that have been read and not answered.
        held: Bytes of bodies in memory, read or being read.
        measures: The engines' counters.
        exposition: The metrics page; None without metrics.
    """

    def __init__(self, releases: Releases, settings: Settings) -> None:
        self.releases = releases
        self.settings = settings
        self.draining = False
        self.in_flight = self.held = 0
        self.measures = Measures()
        self.exposition: Exposition | None = None

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        release = self.releases.get(None)
        return release is not None and release.engine.alive and not self.draining

    def admit(self, request: Request) -> None:
        """Admit a request before its body is read, and set its deadline. Call :meth:`leave` afterwards.

        Raises:
            Refusal: 429 the server is full, 413 the body would be too large, 400 a header is not valid.
        """
        settings = self.settings
        if self.in_flight >= settings.max_in_flight:
            raise _full()
        length, timeout_s = _announced(request, settings)
        if length > settings.max_body:
            raise too_large(settings.max_body)
        if self.held and self.held + length > settings.max_pending_mb * 2**20:
            raise _full()
        request.deadline = request.arrived + timeout_s

    def hold(self, request: Request, size: int) -> None:
        """Count body bytes that have arrived; the announced length does not count.

        Raises:
            Refusal: 413 the body is too large, 429 there is no room beside the others.
        """
        request.held += size
        self.held += size
        if request.held > self.settings.max_body:
            raise too_large(self.settings.max_body)
        if self.held > self.settings.max_pending_mb * 2**20 and self.held > request.held:
            raise _full()

    def begin(self, request: Request) -> None:
        """Count a request in flight once its body is read, so that slow senders cannot take all places.

        Raises:
            Refusal: 429 all places are taken.
        """
        if self.in_flight >= self.settings.max_in_flight:
            raise _full()
        self.in_flight += 1
        request.begun = True

    def leave(self, request: Request) -> None:
        """End a request that was admitted."""
        self.held -= request.held
        self.in_flight -= request.begun


def _announced(request: Request, settings: Settings) -> tuple[int, float]:
    """Announced bytes of the body, and seconds that the client waits."""
    length, timeout_s = 0, settings.request_timeout_s
    for name, value in request.headers:
        if name == b"content-length":
            length = _whole_number(name, value)
        elif name == TIMEOUT:
            timeout_s = min(timeout_s, _whole_number(name, value) / 1000)
    return length, timeout_s


def _whole_number(name: bytes, value: bytes) -> int:
    if not value.isdigit() or len(value) > _DIGITS:
        raise Refusal(400, f"{name.decode()} must be a whole number", close=name != TIMEOUT)
    return int(value)


def _full() -> Refusal:
    return Refusal(429, "too many requests at once; try again", retry_after=1)
