"""Start a process that outlives us, and stop exactly that one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lifecycle.errors import Unavailable
from lifecycle.processes.identity import ProcessId, is_alive

_POLL_S = 0.02
# Our own children by pid: an object dropped while its process runs makes Python warn, and one that has ended
# stays a zombie until it is polled.
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn_detached(argv: Sequence[str], log: Path, env: Mapping[str, str]) -> ProcessId:
    """Start ``argv`` in its own session, with nothing of ours but the log file that it appends to.

    Args:
        env: Added to our own environment.

    Raises:
        Unavailable: it could not be started, or was gone at once.
    """
    _reap()
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
                close_fds=True,
            )
        except OSError as exc:
            raise Unavailable(f"cannot start {argv[0]!r}: {exc.strerror}") from exc
    _children[child.pid] = child
    process = ProcessId.of(child.pid)
    if process is None:
        raise Unavailable(f"{argv[0]!r} ended at once with status {child.wait()}; see {log}")
    return process


def stop(process: ProcessId, timeout: float = 10.0) -> None:
    """Ask that very process to end, and kill it when it has not within ``timeout`` seconds. Idempotent."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_alive(process):
            break
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + timeout
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    _reap()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago; somebody else may take it before you do."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Poll until ``condition()`` holds.

    Args:
        what: What is waited for, as in "gave up after 5 s waiting until the server answers".

    Raises:
        Unavailable: it did not within ``deadline_s`` seconds.
    """
    deadline = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > deadline:
            raise Unavailable(f"gave up after {deadline_s:g} s waiting until {what}")
        time.sleep(_POLL_S)


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)
