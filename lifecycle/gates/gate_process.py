"""The process in which gates run, forked from a server that has imported the heavy libraries already.

This module imports nothing heavy, so that a command can start the server before it goes on with its own imports.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, BinaryIO

from lifecycle.processes.fork_server import ForkFailed, ForkServer
from lifecycle.processes.process import QUIET, SECRETS, owned_by_me

_log = logging.getLogger(__name__)

_MAIN = "lifecycle.gates.subprocess_main"
_PRELOAD = (
    "numpy",
    "skops.io",  # early: it looks for every function of numpy and scipy in all modules imported so far
    "threadpoolctl",
    "pandas",
    _MAIN,
    "lifecycle.gates.safety",
    "lifecycle.gates.signature",
    "lifecycle.scoring.pyfunc_scorer",
    "mlflow.sklearn",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "pyarrow.dataset",
)
"""Modules that nearly every run needs."""
LATER = ("onnxruntime", "skl2onnx", "great_expectations", "evidently", "xgboost", "lightgbm")
"""Modules that the server imports after a run has needed them."""
_server: ForkServer | None = None
_starting = threading.Lock()


def start_early(later: Iterable[str] = ()) -> None:
    """Start importing the libraries while this process prepares the run. Returns at once.

    Args:
        later: Those of ``LATER`` that the run is sure to need.
    """
    if sys.platform == "linux":
        _fork_server(_environment())
        _warm(set(later))


def _fork_server(env: Mapping[str, str]) -> ForkServer:
    global _server  # noqa: PLW0603  # one for the process, as its libraries are
    with _starting:
        if _server is None or not _server.serves(env):
            if _server is not None:
                _server.close()
            _server = ForkServer(f"{_MAIN}:main", _PRELOAD, QUIET | dict(env))
            atexit.register(_server.close)
        return _server


def _environment() -> dict[str, str]:
    """Our environment without keys and passwords, since the model's own code runs in the process."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS} | owned_by_me()


class GateProcess:
    """A gate process in its own session, and its messages, one JSON object per line."""

    def __init__(self) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="lifecycle-gates-", ignore_cleanup_errors=True)
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._code: int | None = None
        self._imported: set[str] = set()
        self._owner = os.getpid()
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        try:
            self.pid, self._end = _start(_environment() | {"TMPDIR": self._scratch.name}, theirs_in, theirs_out)
        except BaseException:
            os.close(ours_in)
            os.close(ours_out)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._requests = os.fdopen(ours_in, "wb")
        threading.Thread(target=_receive, args=(os.fdopen(ours_out, "rb"), self._lines), daemon=True).start()

    def ask(self, request: object) -> None:
        """Send a request in a thread, because it may be large and the process may never read it."""
        threading.Thread(target=_send, args=(self._requests, pickle.dumps(request)), daemon=True).start()

    def message(self, seconds: float) -> Mapping[str, Any]:
        """The next message. Raises queue.Empty when none comes in time, EOFError when the process has ended."""
        line = self._lines.get(timeout=seconds)
        if not line.endswith(b"\n"):
            raise EOFError
        try:
            message: dict[str, Any] = json.loads(line)
            self._imported.update(message.get("imported", ()))
        except (ValueError, TypeError, AttributeError) as exc:
            raise EOFError from exc
        return message

    def ended_by(self) -> str:
        """Why the process has ended, as readable text."""
        self.end()
        if self._code is None:
            return "an unknown status"
        return f"signal {signal.Signals(-self._code).name}" if self._code < 0 else f"exit status {self._code}"

    def end(self) -> None:
        """Kill the process with all its children, and remove its files. Idempotent.

        Then the server imports what this run had to import, for later runs.
        """
        if self._owner != os.getpid():  # a fork of the process that started it
            return
        end, self._end = self._end, lambda: self._code
        self._code = end()
        self._scratch.cleanup()
        imported, self._imported = self._imported, set()
        _warm(imported)

    def __del__(self) -> None:
        if hasattr(self, "_requests"):
            self.end()


def _warm(modules: set[str]) -> None:
    wanted = [name for name in LATER if name in modules]
    if _server is None or not wanted:
        return
    try:
        _server.warm(wanted)
    except ForkFailed:
        _log.debug("the fork server has ended")


def _start(env: Mapping[str, str], stdin: int, stdout: int) -> tuple[int, Callable[[], int | None]]:
    """The process's number, and a function that ends it and returns its exit code."""
    for _attempt in range(2 if sys.platform == "linux" else 0):
        server = _fork_server(env)
        try:
            pid = server.fork(env, stdin, stdout)
        except ForkFailed as exc:
            _log.debug("%s", exc)
            continue
        return pid, partial(_end_forked, server, pid)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", _MAIN], stdin=stdin, stdout=stdout, env=dict(env), start_new_session=True
    )
    return process.pid, partial(_end_started, process)


def _end_forked(server: ForkServer, pid: int) -> int | None:
    try:
        return server.end(pid)
    except ForkFailed:
        return None


def _end_started(process: subprocess.Popen[bytes]) -> int:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        _log.debug("the gates' process had ended")
    return process.wait()


def _send(requests: BinaryIO, request: bytes) -> None:
    try:
        requests.write(request)
        requests.flush()
    except (BrokenPipeError, ValueError):
        _log.debug("the gates' process ended before it had read its request")


def _receive(messages: BinaryIO, lines: queue.SimpleQueue[bytes]) -> None:
    with messages:
        for line in messages:
            lines.put(line)
    lines.put(b"")
