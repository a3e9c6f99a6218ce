"""Runs a command so that it and all processes that it starts end with their owner.

::

    python -m lifecycle.processes.supervise -- mlflow server --port 5000

SIGTERM, SIGINT, SIGHUP or the owner's end (:mod:`lifecycle.processes.process`) stop the command and every
descendant: SIGTERM first, SIGKILL after 5 s. Exits with the command's status, 128 + n when signal n ended it.
Standard library and psutil only, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence

import psutil

from lifecycle.processes.process import watch_owner

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_GRACE_S = 5.0
_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: Sequence[str]) -> int:
    """Run ``-- command …`` to its end and return its exit status."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command:
        print("usage: python -m lifecycle.processes.supervise -- COMMAND …", file=sys.stderr)  # noqa: T201
        return 2
    # signals are taken one by one with sigwait and never interrupt this code
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS | {signal.SIGCHLD})
    # A descendant that loses its parent becomes our child, in any session. MLflow starts processes in sessions
    # of their own, which no signal to a process group reaches.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = _start(command, before)
    watch_owner(lambda: os.kill(os.getpid(), signal.SIGTERM))
    ended = None
    while ended is None and signal.sigwait(_STOP_SIGNALS | {signal.SIGCHLD}) not in _STOP_SIGNALS:
        ended = _reap(child)
    status = _end_descendants(child, ended)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _start(command: list[str], signal_mask: Iterable[int]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        # The kernel's death signal is a second safety net for when we are killed outright. It is not enough
        # alone: it reaches this process and none of its children, it is not waited for, and it reports the
        # parent's end, which need not be the owner's.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, signal_mask)
        os.execvp(command[0], command)  # noqa: S606  an argument list, no shell
    except OSError as exc:
        os.write(2, f"cannot run {command[0]!r}: {exc.strerror}\n".encode())
    finally:
        os._exit(127)


def _end_descendants(child: int, status: int | None) -> int:
    """Stop all descendants; returns the child's wait status, which may be known already."""
    deadline = time.monotonic() + _GRACE_S
    _signal_descendants(signal.SIGTERM)
    while psutil.Process().children() or status is None:
        if time.monotonic() > deadline:
            _signal_descendants(signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, _POLL_S)
        ended = _reap(child)
        status = status if ended is None else ended
    return status


def _signal_descendants(number: signal.Signals) -> None:
    for process in psutil.Process().children(recursive=True):
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _reap(child: int) -> int | None:
    """Collect ended descendants; returns the child's wait status when it is among them."""
    status = None
    while True:
        try:
            pid, ended = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if not pid:
            return status
        if pid == child:
            status = ended


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
