"""Compiles a snapshot in a process of its own, because that executes the model's code.

The process sees no secrets. What takes more than :data:`SECONDS` or :data:`MEMORY` bytes is not compilable.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from lifecycle.bundle.cache import compile_snapshot, compiled_folder
from lifecycle.domain.model import Snapshot
from lifecycle.errors import LifecycleError
from lifecycle.processes.process import QUIET, environment_of_models, owned_by_me
from lifecycle.scoring.compilers.contract import NotCompilable
from lifecycle.scoring.contract import Batch

SECONDS = 600.0
MEMORY = 8 << 30
_REQUEST, _ANSWER = "request.pickle", "answer.json"


def compile_apart(
    snapshot: Snapshot, cache: Path, rows: Batch | None = None, seconds: float = SECONDS, memory: int = MEMORY
) -> Path:
    """As :func:`lifecycle.bundle.cache.compile_snapshot`, without running the model's code in this process.

    Raises:
        NotCompilable: as there, or the process takes longer or more memory than it may.
    """
    if (done := compiled_folder(cache, snapshot.digest)) is not None:
        return done
    with tempfile.TemporaryDirectory(prefix="lifecycle-compile-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / _REQUEST).write_bytes(pickle.dumps((snapshot, cache.absolute(), rows, memory)))
        how = _run(folder, seconds)
        try:
            answer = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise NotCompilable(
                f"compiling it ended with {how}; it may take {memory >> 20:,} MiB of memory"
            ) from None
    if reason := answer["reason"]:
        raise NotCompilable(reason)
    return Path(answer["folder"])


def _run(folder: Path, seconds: float) -> str:
    """Run the process to its end; returns how it ended, in words."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=QUIET | environment_of_models(os.cpu_count() or 1) | owned_by_me() | {"TMPDIR": str(folder)},
        start_new_session=True,
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise NotCompilable(f"compiling it takes longer than {seconds:g} s") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _main(folder: Path) -> None:
    snapshot, cache, rows, memory = pickle.loads((folder / _REQUEST).read_bytes())  # noqa: S301  of our own process
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    try:
        answer = {"reason": "", "folder": str(compile_snapshot(snapshot, cache, rows))}
    except MemoryError:
        answer = {"reason": f"compiling it takes more than {memory >> 20:,} MiB of memory"}
    except LifecycleError as exc:
        answer = {"reason": str(exc)}
    except Exception as exc:  # a model's code may raise anything, row values included
        answer = {"reason": f"it does not load or score its example ({type(exc).__name__})"}
    aside = folder / "answer.part"
    aside.write_text(json.dumps(answer), encoding="utf-8")
    aside.rename(folder / _ANSWER)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
