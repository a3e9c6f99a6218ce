"""Processes by identity: start one that outlives the caller, wait for its end, stop exactly that one.

Long-running processes end with their owner, also when the owner is killed outright. ``LIFECYCLE_OWNER=<pid>`` or
``<pid>:<start>`` names the owner; children inherit it with the environment, so one variable set at the top holds
for everything below. A process that finds it unset lives until it is stopped, as a deployment must.
"""

from __future__ import annotations

import math
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from lifecycle.errors import Unavailable, UsageError

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Identity of a process, which a later process with the same number does not have.

    Attributes:
        started: Seconds from the machine's start to the process's, to a hundredth. Unlike the time of day
            that psutil calls ``create_time``, it stays the same when the clock is set.
    """

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The identity of the process with this number; None when there is none (a zombie counts as none)."""
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
        """The identity of this process."""
        own = cls.of(os.getpid())
        assert own is not None  # noqa: S101  we run
        return own


def is_alive(process: ProcessId) -> bool:
    """Whether this process still runs."""
    return ProcessId.of(process.pid) == process


def wait_for_end(process: ProcessId, timeout_s: float | None = None) -> bool:
    """Block until the process has ended; False when ``timeout_s`` passes first."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):  # before Linux 5.3, or in a sandbox that forbids the call
        return _poll_for_end(process, timeout_s)
    try:
        if not is_alive(process):  # its number may belong to another process by now
            return True
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return bool(poller.poll(None if timeout_s is None else timeout_s * 1000))
    finally:
        os.close(descriptor)


def _poll_for_end(process: ProcessId, timeout_s: float | None) -> bool:
    deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while is_alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


VARIABLE = "LIFECYCLE_OWNER"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Environment variables that switch libraries' telemetry and its threads off, unless the user has set them."""


SECRETS = frozenset(
    {
        "LIFECYCLE_SIGNING_KEY",
        "LIFECYCLE_API_KEY",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    }
)
"""Environment variables that a model's code must not see. The first is ``signing.local_key.KEY_VARIABLE``,
written out because its import takes 0.1 s."""
_WITH_PASSWORD = re.compile(r"//[^/]*@")


def environment_of_models(threads: int) -> dict[str, str]:
    """Our environment without secrets, for a process that runs a model's code."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in SECRETS and not (name.startswith("MLFLOW_") and _WITH_PASSWORD.search(value))
    }
    # with as many threads as cores in each process, OpenMP and BLAS would compete for the cores
    # and a module of a model's own code must not leave its bytecode in the snapshot
    return {"OMP_NUM_THREADS": str(threads), **kept, "PYTHONDONTWRITEBYTECODE": "1"}


def owned_by_me() -> dict[str, str]:
    """Environment variables that make this process the owner of a child."""
    own = ProcessId.own()
    return {VARIABLE: f"{own.pid}:{own.started}"}


def watch_owner(on_gone: Callable[[], None]) -> None:
    """Call ``on_gone``, in its own thread, when the owner has ended.

    Does nothing without an owner. A bare pid means the process that has it now.

    Raises:
        UsageError: the variable is malformed.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return
    owner = _parse(text)

    def watch() -> None:
        if owner is not None:
            wait_for_end(owner)
        on_gone()

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()


def _parse(text: str) -> ProcessId | None:
    pid, _, started = text.partition(":")
    try:
        return ProcessId(int(pid), float(started)) if started else ProcessId.of(int(pid))
    except (ValueError, OverflowError):
        raise UsageError(f"{VARIABLE} must be <pid> or <pid>:<start>, not {text[:40]!r}") from None


# Our own children by pid: an object dropped while its process runs makes Python warn, and one that has ended
# stays a zombie until it is polled.
_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn_detached(argv: Sequence[str], log: Path, env: Mapping[str, str]) -> ProcessId:
    """Start ``argv`` in its own session; it inherits only the log file that it appends to.

    Args:
        env: Added to our own environment.

    Raises:
        Unavailable: it could not be started, or ended at once.
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
    """Ask the process to end, and kill it if it does not within ``timeout`` seconds. Idempotent."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not is_alive(process):
            break
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            break
        wait_for_end(process, timeout)
    _reap()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that is free now; another process may take it before you do."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], deadline_s: float, what: str) -> None:
    """Poll until ``condition()`` holds.

    Args:
        what: The condition in words, as in "gave up after 5 s waiting until the server answers".

    Raises:
        Unavailable: it did not hold within ``deadline_s`` seconds.
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
