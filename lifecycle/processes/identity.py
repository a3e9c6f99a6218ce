"""Which process: a number alone is soon given to another one."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, and not whichever later one got the same number.

    Attributes:
        started: Seconds from the machine's start to the process's, to a hundredth. Unlike the time of day
            that psutil calls ``create_time``, it stays the same when the clock is set.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The process that has this number now, or None when none has (a zombie counts as gone)."""
        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            boot = psutil.boot_time()
            return cls(pid, round(process.create_time() - boot, 2))
        except psutil.NoSuchProcess:
            return None

    @classmethod
    def own(cls) -> ProcessId:
        """This very process."""
        own = cls.of(os.getpid())
        assert own is not None  # noqa: S101  we run
        return own


def is_alive(process: ProcessId) -> bool:
    """Whether that very process still runs."""
    return ProcessId.of(process.pid) == process
