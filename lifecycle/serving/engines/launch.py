"""Starts the processes of one pyfunc release."""

from __future__ import annotations

import os
import re
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

SECRETS = frozenset(
    {
        "LIFECYCLE_SIGNING_KEY",
        "LIFECYCLE_API_KEY",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    }
)
"""What the model's own code has no business with. The first is ``signing.local_key.KEY_VARIABLE``, spelt out:
importing that takes 0.1 s."""
_WITH_PASSWORD = re.compile(r"//[^/]*@")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Launch:
    """How.

    Attributes:
        memory: Bytes that one process may allocate.
        threads: For the numeric libraries of one process.
    """

    snapshot: Snapshot
    memory: int
    threads: int

    def start(self) -> Started:
        """Start one. From the main thread: the process ends when the thread ends that started it."""
        ours, theirs = socket.socketpair()
        scratch = tempfile.mkdtemp(prefix="lifecycle-model-")
        with theirs:
            fd, (digest, path) = theirs.fileno(), (self.snapshot.digest, self.snapshot.path)
            arguments = [str(fd), digest, str(path), str(os.getpid()), str(self.memory)]
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lifecycle.serving.engines.child", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),  # what a model prints belongs in the log
                env=environment_of_models(self.threads) | {"TMPDIR": scratch},
                pass_fds=[fd],
                start_new_session=True,
            )
        return Started(process, ours, Path(scratch))


@dataclass(frozen=True, slots=True)
class Started:
    """A process, our end of its channel, and the folder for its temporary files."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    scratch: Path

    def end(self) -> None:
        """Kill it with all that it started, if need be, and tidy up behind it, without waiting. Only once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        threading.Thread(target=self._tidy_up, name="model-end", daemon=True).start()

    def _tidy_up(self) -> None:
        self.process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


def memory_of_this_machine() -> int:
    """Bytes, or those of the container."""
    total = int(psutil.virtual_memory().total)
    try:
        return min(total, int(_CGROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such file, or "max"
        return total


def environment_of_models(threads: int) -> dict[str, str]:
    """Ours without our secrets, for a process that runs a model's own code."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in SECRETS and not (name.startswith("MLFLOW_") and _WITH_PASSWORD.search(value))
    }
    # OpenMP, and BLAS through it: as many threads as cores in each process would fight each other.
    return {"OMP_NUM_THREADS": str(threads), **kept}
