"""Commands as a user types them, without the seconds that importing MLflow takes every time.

A process that has imported it forks for each command, which else is as in a shell: words, environment, folder,
output and exit code. Gate runs share such a process, and with it the libraries that the process of the gates has
imported, as the runs of a notebook do. What only an interpreter of its own can show, test_serve.py, test_story.py,
test_packaging.py and test_ci_templates.py show.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

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
        command = (str(said[0]), str(said[1]), list(words), str(cwd), dict(env))
        end = _in_a_shared_process if tuple(words[1:4]) in THAT_RUN_GATES else _in_its_own_process
        code = end(command, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(words, timeout)
        out, err = (path.read_text() for path in said)
        return subprocess.CompletedProcess(words, code, out, err)


THAT_RUN_GATES = {("lifecycle.cli", "gate", "run"), ("lifecycle.cli", "worker", "--once")}
_Command = tuple[str, str, list[str], str, dict[str, str]]
"""Files for output and errors, words, folder, environment."""


def _in_its_own_process(command: _Command, timeout: float) -> int | None:
    process = _FORKING.Process(target=_write_to, args=command)
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


_idle: list[tuple[BaseProcess, Connection]] = []
"""Processes for gate runs that wait for the next one. As many are made as there are runs at the same time."""


def _in_a_shared_process(command: _Command, timeout: float) -> int | None:
    process, connection = _idle.pop() if _idle else _shared_process()
    connection.send(command)
    if not connection.poll(timeout):
        process.kill()
        return None
    try:
        code = int(connection.recv())
    except EOFError:  # the command has ended the process
        process.join()
        return process.exitcode
    _idle.append((process, connection))
    return code


def _shared_process() -> tuple[BaseProcess, Connection]:
    ours, theirs = _FORKING.Pipe()
    with theirs:
        process = _FORKING.Process(target=_run_each, args=(theirs,), daemon=True)
        process.start()
    return process, ours


def _run_each(commands: Connection) -> None:
    """Run commands that come, one after the other, and answer with their exit codes."""
    while True:
        try:
            command = commands.recv()
        except EOFError:
            return
        commands.send(_exit_code(*command))


def _exit_code(out: str, err: str, *command: Any) -> int:
    for descriptor, path in ((1, out), (2, err)):
        with open(path, "ab") as file:  # noqa: PTH123
            os.dup2(file.fileno(), descriptor)
    try:
        _become(*command)
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
    return 0


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
    _become_and_end(words, cwd, env)


def _write_to(out: str, err: str, words: list[str], cwd: str, env: dict[str, str]) -> None:
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    _become_and_end(words, cwd, env)


def _become_and_end(words: list[str], cwd: str, env: dict[str, str]) -> None:
    try:
        _become(words, cwd, env)  # multiprocessing prints what it raises, and ends with 1 or as SystemExit says
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def _become(words: list[str], cwd: str, env: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:] = ["", *(place for place in sys.path if place)]
    _execute(words)


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
