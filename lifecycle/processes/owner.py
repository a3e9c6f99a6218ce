"""Long-running processes end with whoever owns them, also when the owner is killed outright.

``LIFECYCLE_OWNER=<pid>`` or ``<pid>:<start>`` names the owner; children inherit it with the environment, so
one variable set at the top holds for everything below. A process that finds it unset lives until it is told
to stop, as a deployment does that must outlast the command that made it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from lifecycle.errors import UsageError
from lifecycle.processes.identity import ProcessId, is_alive

VARIABLE = "LIFECYCLE_OWNER"
_POLL_S = 0.5


def owned_by_me() -> dict[str, str]:
    """The environment that makes this process the owner of a child."""
    own = ProcessId.own()
    return {VARIABLE: f"{own.pid}:{own.started}"}


def watch_owner(on_gone: Callable[[], None]) -> None:
    """Call ``on_gone``, in a thread of its own, within about a second of the owner's end.

    Does nothing when no owner is named. A bare pid means the process that has it now.

    Raises:
        UsageError: the variable holds something else.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return
    owner = _parse(text)

    def watch() -> None:
        # Nothing announces the death of a process that is no child of ours, so this one has to ask.
        while owner is not None and is_alive(owner):
            time.sleep(_POLL_S)
        on_gone()

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def _parse(text: str) -> ProcessId | None:
    pid, _, started = text.partition(":")
    try:
        return ProcessId(int(pid), float(started)) if started else ProcessId.of(int(pid))
    except (ValueError, OverflowError):
        raise UsageError(f"{VARIABLE} must be <pid> or <pid>:<start>, not {text[:40]!r}") from None
