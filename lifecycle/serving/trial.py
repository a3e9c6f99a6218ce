"""Loads a version and scores its example in a separate process, before a server touches it.

A model that crashes, hangs, exits or exhausts memory while loading does so there::

    python -m lifecycle.serving.trial PIPE < desired.json
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import psutil

from lifecycle.errors import Conflict, DeploymentFailed, IntegrityError, LifecycleError
from lifecycle.processes.process import environment_of_models
from lifecycle.serving.control import Desired, desired_from
from lifecycle.serving.engines.launch import memory_of_this_machine
from lifecycle.serving.member import how_it_ended

_LOG = logging.getLogger(__name__)
_POLL_S = 0.02
_LONGEST = 2**16
_NICE = 10
_SHARE = 0.9  # of the free memory
_PR_SET_PDEATHSIG = 1


async def try_out(desired: Desired, still_wanted: Callable[[], bool], deadline: float) -> None:
    """Check in a separate process that a version loads and scores its example.

    Args:
        deadline: End of the trial, on the monotonic clock.

    Raises:
        IntegrityError: the files do not match the digest.
        DeploymentFailed: it does not load, took too long, or took its process down.
        Conflict: another version is wanted by now.
    """
    reading, writing = os.pipe()
    try:
        try:
            trial = _start(desired, writing)
        finally:
            os.close(writing)
        try:
            await _end_of(trial, still_wanted, deadline)
        finally:
            _kill_all(trial)
        os.set_blocking(reading, False)
        _judge(trial.wait(), reading)
    finally:
        os.close(reading)


def _start(desired: Desired, writing: int) -> subprocess.Popen[bytes]:
    try:
        trial = subprocess.Popen(
            [sys.executable, "-P", "-m", "lifecycle.serving.trial", str(writing)],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno(),  # what a model prints goes to the log
            env=environment_of_models(1),
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as exc:
        raise DeploymentFailed(f"cannot start a process to try it in: {exc.strerror}") from exc
    assert trial.stdin is not None  # noqa: S101  a pipe was asked for
    with suppress(BrokenPipeError), trial.stdin as stdin:
        stdin.write(json.dumps(asdict(desired)).encode())
    return trial


async def _end_of(trial: subprocess.Popen[bytes], still_wanted: Callable[[], bool], deadline: float) -> None:
    while trial.poll() is None:
        if not still_wanted():
            raise Conflict("another version was requested while it was starting")
        if monotonic() > deadline:
            raise DeploymentFailed("it took too long to load; -C timeout_s= gives it more time")
        await asyncio.sleep(_POLL_S)


def _kill_all(trial: subprocess.Popen[bytes]) -> None:
    """Kill the trial and all processes that the model has started in it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(trial.pid, signal.SIGKILL)
    trial.wait()


def _judge(status: int, reading: int) -> None:
    try:
        verdict = json.loads(os.read(reading, _LONGEST))
    except (BlockingIOError, ValueError):
        how = how_it_ended(status)
        raise DeploymentFailed(f"the process that loaded it for a trial {how}; see the server's log") from None
    if verdict["code"]:
        raise {IntegrityError.code: IntegrityError}.get(verdict["code"], DeploymentFailed)(verdict["error"])


def main(writing: int) -> None:
    """Load the version, score the example, and report the result."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    desired = desired_from(json.load(sys.stdin))
    _restrain(int(desired.settings.model_memory_mb))
    code, error = _tried(desired)
    os.write(writing, json.dumps({"code": code, "error": error}).encode()[:_LONGEST])
    os._exit(0)  # ends despite threads and handlers that the model has left


def _tried(desired: Desired) -> tuple[str, str]:
    from lifecycle.domain.model import Snapshot
    from lifecycle.scoring.loader import load_verified

    snapshot = Snapshot(desired.digest, Path(desired.snapshot))
    try:
        load_verified(snapshot, Path(desired.compiled) if desired.compiled else None)
    except LifecycleError as exc:
        return exc.code, str(exc)
    except Exception as exc:  # a model's libraries may raise anything
        _LOG.exception("snapshot %s does not come up", desired.digest)
        return DeploymentFailed.code, f"the model does not load ({type(exc).__name__}); see the server's log"
    return "", ""


def _restrain(memory: int) -> None:
    """Lower this process's priority, end it with the supervisor, and let it be the first to be killed for memory.

    Args:
        memory: MiB that may be allocated; 0 for the free memory.
    """
    os.nice(_NICE)
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    free = min(int(psutil.virtual_memory().available * _SHARE), memory_of_this_machine())
    # private memory is limited, not mapped: libraries map gigabytes that they never touch
    most = min(free, memory * 2**20) if memory else free
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main(int(sys.argv[1]))
