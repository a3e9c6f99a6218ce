"""Commands as a user types them, without the seconds that importing MLflow takes every time.

A process that has imported it forks for each command, which else is as in a shell: words, environment, folder,
output and exit code. What only an interpreter of its own can show, test_serve.py, test_story.py, test_packaging.py
and test_ci_templates.py show.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.preloaded"])


def run(
    words: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What ``python WORDS`` says and its exit code.

    Args:
        words: ``-m MODULE …``, ``-c PROGRAM …`` or ``FILE …``.

    Raises:
        subprocess.TimeoutExpired: it was stopped after ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "out", Path(folder) / "err"
        process = _FORKING.Process(target=_write_to, args=(*map(str, said), list(words), str(cwd), dict(env)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(words, timeout)
        out, err = (path.read_text() for path in said)
        return subprocess.CompletedProcess(words, process.exitcode, out, err)


@dataclass(frozen=True)
class Running:
    """A command that is under way, to be written to and read from line by line."""

    process: BaseProcess
    stdin: TextIO
    stdout: TextIO

    def end(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.join()
        self.stdin.close()
        self.stdout.close()


def start(words: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Running:
    """Start ``python WORDS``. What it writes to stderr is dropped."""
    its_input, to_it = _FORKING.Pipe(duplex=False)
    from_it, its_output = _FORKING.Pipe(duplex=False)
    process = _FORKING.Process(target=_converse, args=(list(words), str(cwd), dict(env), its_input, its_output))
    with its_input, its_output, to_it, from_it:
        process.start()
        writing, reading = os.dup(to_it.fileno()), os.dup(from_it.fileno())
    return Running(process, os.fdopen(writing, "w", buffering=1), os.fdopen(reading))


def _converse(words: list[str], cwd: str, env: dict[str, str], reads: Connection, writes: Connection) -> None:
    for connection, descriptor in ((reads, 0), (writes, 1)):
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stdin = os.fdopen(0)  # multiprocessing has put another one there
    _become(words, cwd, env)


def _write_to(out: str, err: str, words: list[str], cwd: str, env: dict[str, str]) -> None:
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    _become(words, cwd, env)


def _become(words: list[str], cwd: str, env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path.insert(0, "")
    try:
        _execute(words)  # multiprocessing prints what it raises, and ends with 1 or as SystemExit says
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def _execute(words: list[str]) -> None:
    first, *rest = words
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        program, *arguments = rest
        sys.argv = ["-c", *arguments]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(program, "<string>", "exec"), vars(main))  # noqa: S102  # as python -c does
    else:
        sys.argv = words
        runpy.run_path(first, run_name="__main__")
