"""Starts the processes of one pyfunc release."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from lifecycle.domain.model import Snapshot
from lifecycle.processes.process import environment_of_models

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start the processes.

    Attributes:
        memory: Bytes that one process may allocate.
        threads: Threads of the numeric libraries in one process.
    """

    snapshot: Snapshot
    memory: int
    threads: int

    def start(self) -> Started:
        """Start one process, from the main thread: it ends when the thread that started it ends."""
        ours, theirs = socket.socketpair()
        scratch = tempfile.mkdtemp(prefix="lifecycle-model-")
        with theirs:
            fd, (digest, path) = theirs.fileno(), (self.snapshot.digest, self.snapshot.path)
            arguments = [str(fd), digest, str(path), str(os.getpid()), str(self.memory)]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lifecycle.serving.engines.child", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),  # what a model prints goes to the log
                env=environment_of_models(self.threads) | {"TMPDIR": scratch},
                pass_fds=[fd],
                start_new_session=True,
            )
        return Started(process, ours, Path(scratch))


@dataclass(frozen=True, slots=True)
class Started:
    """A started process, our end of its channel, and the folder for its temporary files."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    scratch: Path

    def end(self) -> None:
        """Kill it and all processes that it started, and delete its folder, without waiting. Call it once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        threading.Thread(target=self._tidy_up, name="model-end", daemon=True).start()

    def _tidy_up(self) -> None:
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


def memory_of_this_machine() -> int:
    """Memory of this machine in bytes, or the container's limit."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file, or "max"
        return total
