"""A version is loaded and asked once in a process of its own before anything that answers touches it.

A model whose loading crashes, hangs, exits or eats the memory does so there::

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
from lifecycle.serving.control import Desired, desired_from
from lifecycle.serving.engines.launch import environment_of_models, memory_of_this_machine
from lifecycle.serving.member import how_it_ended

_LOG = logging.getLogger(__name__)
_POLL_S = 0.02
_LONGEST = 2**16
_NICE = 10
_SHARE = 0.9  # of the memory that is free
_PR_SET_PDEATHSIG = 1


async def try_out(desired: Desired, still_wanted: Callable[[], bool], deadline: float) -> None:
    """See that a version loads and scores its own example.

    Args:
        deadline: On the monotonic clock.

    Raises:
        IntegrityError: its files are not those of its digest.
        DeploymentFailed: it does not load, took too long, or took its process down.
        Conflict: something else is wanted by now.
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
            stdout=sys.stderr.fileno(),  # what a model prints belongs in the log
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
            raise Conflict("something else was asked for while it was coming up")
        if monotonic() > deadline:
            raise DeploymentFailed("it took too long to load; -C timeout_s= gives it more time")
        await asyncio.sleep(_POLL_S)


def _kill_all(trial: subprocess.Popen[bytes]) -> None:
    """The trial and whatever the model has started in it."""
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
    """Load, score the example, say how it went."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    desired = desired_from(json.load(sys.stdin))
    _restrain(int(desired.settings.model_memory_mb))
    code, error = _tried(desired)
    os.write(writing, json.dumps({"code": code, "error": error}).encode()[:_LONGEST])
    os._exit(0)  # whatever threads and handlers the model has left behind


def _tried(desired: Desired) -> tuple[str, str]:
    from lifecycle.domain.model import Snapshot
    from lifecycle.scoring.loader import load_verified

    snapshot = Snapshot(desired.digest, Path(desired.snapshot))
    try:
        load_verified(snapshot, Path(desired.compiled) if desired.compiled else None)
    except LifecycleError as exc:
        return exc.code, str(exc)
    except Exception as exc:  # a model's libraries raise whatever they like
        _LOG.exception("snapshot %s does not come up", desired.digest)
        return DeploymentFailed.code, f"the model does not load ({type(exc).__name__}); see the server's log"
    return "", ""


def _restrain(memory: int) -> None:
    """Behind those that answer, never longer than the supervisor, and the first to go where memory is short.

    Args:
        memory: MiB that may be allocated; 0 for what is free.
    """
    os.nice(_NICE)
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    free = min(int(psutil.virtual_memory().available * _SHARE), memory_of_this_machine())
    # What a process writes to, not what it maps: libraries map gigabytes that they never touch.
    most = min(free, memory * 2**20) if memory else free
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main(int(sys.argv[1]))
