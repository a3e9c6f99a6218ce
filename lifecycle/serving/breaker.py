"""Decides when a dead worker is replaced: at once, unless replacing does not help."""

from __future__ import annotations

from collections import deque

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 4.0
_IN_A_ROW = 5
_MANY, _WITHIN_S = 30, 30.0
PAUSE_S = 60.0


class Breaker:
    """Counts unexpected ends. Times are seconds of one monotonic clock.

    It opens after 5 workers in a row that never answered, or 30 ends within 30 s. A minute later one more
    try is allowed.
    """

    def __init__(self) -> None:
        self._ends: deque[float] = deque(maxlen=_MANY)
        self._in_a_row = 0
        self._not_before = 0.0
        self.open = False

    def ended(self, now: float, *, answered: bool) -> None:
        """Record that a worker ended unexpectedly.

        Args:
            answered: Whether it had answered requests.
        """
        self._ends.append(now)
        self._in_a_row = 0 if answered else self._in_a_row + 1
        if self._in_a_row:
            wait = _FIRST_WAIT_S * 2 ** (self._in_a_row - 1)
            self._not_before = now + min(wait, _LONGEST_WAIT_S)
        many = len(self._ends) == _MANY and now - self._ends[0] < _WITHIN_S
        if many or self._in_a_row >= _IN_A_ROW:
            self.open, self._not_before = True, now + PAUSE_S

    def may_start(self, now: float) -> bool:
        """Whether a worker may be started now."""
        return now >= self._not_before

    def answers(self) -> None:
        """Record that a worker has begun to answer."""
        self._in_a_row = 0
        self.open = False

    def reset(self) -> None:
        """Forget the counts, as another version is served now."""
        self.__init__()  # type: ignore[misc]
