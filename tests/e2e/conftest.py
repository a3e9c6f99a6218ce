"""What the tests of whole programs look for afterwards."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest


@pytest.fixture
def belonging() -> Callable[[str], list[str]]:
    """The command lines of every process that has a text in its environment or its command line."""

    def find(text: str) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                words = [*process.cmdline(), *process.environ().values()]
                if any(text in word for word in words):
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    return find
