"""A server process that imports libraries once and forks children that have them already.

The server only runs imports; work and all that it loads is in the children. It has one thread,
so that a child never inherits a lock held by another thread. It ends with its owner: it waits on a
socket whose other end only the owner has, and on the owner's process.

Requests are JSON after its length, as several may wait: ``fork`` (with three descriptors: the child's standard
input, output and error) and ``end``, which are answered by a line of JSON, and ``warm``, which is not. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Settings that keep OpenBLAS and pyarrow's allocator from starting threads when imported in the server."""

_AT_START = ("PYTHON", "LD_", "OMP_", "OPENBLAS_", "MKL_")
"""Prefixes of environment variables that matter when a process starts; others are given to each child."""

_ANSWER_SECONDS = 120.0  # a running import is finished first
_PR_SET_DUMPABLE = 4
_LENGTH_BYTES = 4


class ForkFailed(Exception):
    """The server has ended or cannot fork."""


class ForkServer:
    """The owner's side of a fork server.

    Args:
        entry: ``module:function`` that a child runs. It ends with status 0 when the function returns.
        preload: Modules that the server imports before it forks, and at once when it starts.
        env: The environment of the server, without secrets.
    """

    def __init__(self, entry: str, preload: Sequence[str], env: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._children: set[int] = set()
        self._started_with = _at_start(env)
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_ANSWER_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), entry, *preload],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**env, **_ONE_THREAD},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def serves(self, env: Mapping[str, str]) -> bool:
        """Whether the server runs and its children equal a process started now with ``env``."""
        mine = self._owner == os.getpid()  # not so in a fork of the owner, which shares the socket
        return mine and self._process.poll() is None and _at_start(env) == self._started_with

    def fork(self, env: Mapping[str, str], stdin: int, stdout: int) -> int:
        """Start a child in its own session with this environment; returns its process id.

        Raises:
            ForkFailed: the server has ended or cannot fork.
        """
        request = {"do": "fork", "env": dict(env), "folder": str(Path.cwd())}
        pid = int(self._ask(request, [stdin, stdout, 2])["pid"])
        self._children.add(pid)
        return pid

    def end(self, pid: int) -> int:
        """Kill a child with its session unless it has ended; returns its exit code, -n for signal n.

        Raises:
            ForkFailed: the server has ended; the child was killed and its exit code is unknown.
        """
        if pid not in self._children:
            raise ForkFailed("the fork server was closed")
        self._children.remove(pid)
        _kill_session(pid)  # only the server reaps it, so its number cannot be reused
        return int(self._ask({"do": "end", "pid": pid})["code"])

    def warm(self, modules: Sequence[str]) -> None:
        """Make the server import these modules when it is idle. Returns at once.

        Raises:
            ForkFailed: the server has ended.
        """
        with self._lock:
            self._send({"do": "warm", "modules": list(modules)}, ())

    def close(self) -> None:
        """End the server and all its children. Idempotent; does nothing in a fork of the owner."""
        if self._owner != os.getpid():
            return
        for pid in self._children:
            _kill_session(pid)
        self._children.clear()
        self._process.kill()
        self._process.wait()
        self._control.close()

    def _ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Mapping[str, Any]:
        with self._lock:
            self._send(request, descriptors)
            try:
                answer: Mapping[str, Any] = json.loads(_line(self._control))
            except (OSError, ValueError) as exc:
                self._process.kill()
                raise ForkFailed(f"the fork server does not answer ({type(exc).__name__})") from exc
        if "error" in answer:
            raise ForkFailed(str(answer["error"]))
        return answer

    def _send(self, request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        content = json.dumps(request).encode()
        try:
            socket.send_fds(self._control, [len(content).to_bytes(_LENGTH_BYTES)], descriptors)
            self._control.sendall(content)
        except OSError as exc:
            raise ForkFailed(f"the fork server has ended ({type(exc).__name__})") from exc


def _line(connection: socket.socket) -> bytes:
    """The next line; without line end when the other side has closed."""
    line = bytearray()
    while not line.endswith(b"\n") and (part := connection.recv(1 << 16)):
        line += part
    return bytes(line)


def _at_start(env: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_AT_START)}


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


class _Server:
    """The server's side."""

    def __init__(self, control: socket.socket, preload: Sequence[str]) -> None:
        self._control, self._preload = control, preload
        self._waiting: list[str] = []
        self._children: set[int] = set()
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._owner = os.pidfd_open(os.getppid())
        self._poller.register(self._owner, select.POLLIN)

    def serve(self) -> tuple[Mapping[str, Any], Sequence[int]]:
        """Import and fork until the owner has ended. Returns only in a child, with its request."""
        for name in self._preload:
            self._is_asked(0)
            _import(name)
        while True:
            if not self._is_asked(0 if self._waiting else None):
                _import(self._waiting.pop(0))
                continue
            length, descriptors, *_ = socket.recv_fds(self._control, _LENGTH_BYTES, 3, socket.MSG_WAITALL)
            content = self._control.recv(int.from_bytes(length), socket.MSG_WAITALL) if length else b""
            request = json.loads(content) if content else self._end_all()
            if request["do"] == "warm":
                self._waiting += [name for name in request["modules"] if name not in sys.modules]
            elif request["do"] == "end":
                self._children.remove(request["pid"])
                status = os.waitpid(request["pid"], 0)[1]
                self._answer({"code": os.waitstatus_to_exitcode(status)})
            elif self._fork(descriptors):
                return request, descriptors

    def _is_asked(self, timeout: int | None) -> bool:
        """Whether there is a request. Ends all processes when the owner has ended."""
        events = dict(self._poller.poll(timeout))
        if self._owner in events or events.get(self._control.fileno(), 0) & (select.POLLHUP | select.POLLERR):
            self._end_all()
        return bool(events)

    def _end_all(self) -> NoReturn:
        for pid in self._children:
            _kill_session(pid)
        os._exit(0)

    def _answer(self, answer: Mapping[str, Any]) -> None:
        try:
            self._control.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            return  # the owner has ended, which the next poll shows

    def _fork(self, descriptors: Sequence[int]) -> bool:
        """Fork; returns whether this is the child."""
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208
        if threads > 1:
            answer: dict[str, Any] = {"error": f"the fork server has {threads} threads; a child could hang"}
        else:
            gc.freeze()
            pid = os.fork()
            if not pid:
                os.setsid()
                self._control.close()
                os.close(self._owner)
                return True
            self._children.add(pid)
            answer = {"pid": pid}
        for descriptor in descriptors:
            os.close(descriptor)
        self._answer(answer)
        return False


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except Exception:  # a missing or broken library: the child that needs it reports it
        return


def _become(request: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """Take over environment, descriptors and session of a newly started process."""
    _set_dumpable(dumpable=True)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    tempfile.tempdir = None
    importlib.invalidate_caches()
    gc.enable()
    if "numpy" in sys.modules:  # otherwise all children draw the same random numbers
        sys.modules["numpy"].random.seed()
    if "threadpoolctl" in sys.modules:
        limit = os.environ.get("OPENBLAS_NUM_THREADS", "")
        cores = int(limit) if limit.isdecimal() else len(os.sched_getaffinity(0))
        sys.modules["threadpoolctl"].threadpool_limits(limits=cores, user_api="blas")


def _set_dumpable(*, dumpable: bool) -> None:
    """Set whether processes of the same user, such as a model's code in a child, may access this memory."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


def _main(arguments: Sequence[str]) -> NoReturn:
    gc.disable()
    _set_dumpable(dumpable=False)
    number, entry, *preload = arguments
    request, descriptors = _Server(socket.socket(fileno=int(number)), preload).serve()
    status = 1
    try:
        _become(request, descriptors)
        module, _, function = entry.partition(":")
        getattr(importlib.import_module(module), function)()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _main(sys.argv[1:])
