"""The follower: one process per home that updates deployments when their stage or alias moves."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lifecycle.durable import exclusive
from lifecycle.errors import Conflict, Unavailable
from lifecycle.processes.process import ProcessId, is_alive, spawn_detached, stop, wait_until

_START_DEADLINE_S = 60.0


def ensure_follower(home: Path, config: Path | None, environment: Mapping[str, str]) -> None:
    """Start a follower unless one runs. It ends by itself when no deployment follows anything.

    Args:
        environment: Environment variables with the registry's address.

    Raises:
        Unavailable: it did not start.
    """
    if running_follower(home) is not None:
        return
    log = home / "follower.log"
    chosen = ["--config", str(config)] if config else []
    # -P keeps modules of the working directory from shadowing ours
    process = spawn_detached(
        [sys.executable, "-P", "-m", "lifecycle.cli", *chosen, "follow", "--until-idle"],
        log,
        {**environment, "LIFECYCLE_HOME": str(home)},
    )

    def settled() -> bool:
        return running_follower(home) is not None or not is_alive(process)

    wait_until(settled, _START_DEADLINE_S, "the follower has started")
    if running_follower(home) is None:
        raise Unavailable(f"the deployment answers, but nothing follows its stage: the follower ended; see {log}")


def running_follower(home: Path) -> ProcessId | None:
    """The running follower of this home, or None."""
    try:
        process = ProcessId(*json.loads(_lock(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if is_alive(process) else None


def stop_follower(home: Path) -> bool:
    """Stop the follower of this home; returns whether one was running."""
    process = running_follower(home)
    if process is not None:
        stop(process)
    return process is not None


@contextmanager
def being_the_follower(home: Path) -> Iterator[None]:
    """Hold the lock of this home's only follower; the kernel releases it if we die.

    Raises:
        Conflict: another one runs.
    """
    home.mkdir(parents=True, exist_ok=True)
    own = ProcessId.own()
    with ExitStack() as held:
        try:
            descriptor = held.enter_context(exclusive(_lock(home)))
        except BlockingIOError:
            raise Conflict(f"another follower runs for {home}") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps([own.pid, own.started]).encode())
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)  # from here on it is not the running follower


def _lock(home: Path) -> Path:
    return home / "follower.json"
