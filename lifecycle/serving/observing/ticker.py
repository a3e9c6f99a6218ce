"""A worker's thread for periodic work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from lifecycle.serving.failure import where

_LOG = logging.getLogger(__name__)


class Ticker:
    """Calls ``tasks`` at once, then repeatedly, and once more at the end.

    Args:
        interval_s: Seconds between the end of one round and the start of the next.
    """

    def __init__(self, name: str, interval_s: float, tasks: Sequence[Callable[[], None]]) -> None:
        self._interval_s = interval_s
        self._tasks = tasks
        self._end = threading.Event()
        self._failing: set[int] = set()  # logged once, not in every round
        # a daemon, so that a hanging task cannot keep the process from ending
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self, wait_s: float = 5.0) -> None:
        """Run the tasks a last time, within so many seconds. Idempotent."""
        self._end.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        self._round()
        while not self._end.wait(self._interval_s):
            self._round()
        self._round()

    def _round(self) -> None:
        for number, task in enumerate(self._tasks):
            try:
                task()
            except Exception as exc:  # a failing observer or a full disk must not stop the thread
                if number not in self._failing:
                    why = exc.strerror if isinstance(exc, OSError) else where(exc)
                    _LOG.warning("%s: cannot be written for now: %s", self._thread.name, why)
                self._failing.add(number)
            else:
                self._failing.discard(number)
