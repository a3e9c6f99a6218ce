"""Runs gates in a separate process: a hanging gate is stopped, a crash stays there."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from lifecycle.domain.charts import Explanation
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import EXPLAIN_SECONDS, ExplainingGate, Gate
from lifecycle.gates.discovery import load_gate
from lifecycle.gates.job import GateJob
from lifecycle.gates.progress import GateResults, Progress
from lifecycle.gates.run import forbids_loading, running_order
from lifecycle.gates.verdicts import broke, inconclusive
from lifecycle.gates.worker import EXPLANATION, VERDICT
from lifecycle.processes.process import owned_by_me
from lifecycle.signing.local_key import KEY_VARIABLE

_log = logging.getLogger(__name__)
_START_SECONDS = 120.0  # for the worker's own imports

_SECRETS = frozenset(
    {
        KEY_VARIABLE,
        "LIFECYCLE_API_KEY",
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    }
)

Message = Mapping[str, Any]


def run_isolated(job: GateJob, progress: Progress) -> GateResults:
    """Run a job in another process, which is ended when a gate exceeds ``max_seconds``; the others still run.

    Raises:
        ConfigError: an unknown gate or a wrong option; nothing ran.
        UsageError: a gate cannot be imported; nothing ran.
    """
    gates = [load_gate(spec) for spec in job.gates]
    run = _Run(job, gates, progress)
    while run.waiting:
        run.attempt()
    verdicts = tuple(run.verdicts[i] for i in range(len(gates)))
    return GateResults(verdicts, run.data, partial(_explanations, job, gates, verdicts))


def _explanations(job: GateJob, gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> tuple[Explanation, ...]:
    """One explanation per verdict, made in another process. If that crashes, the others get a note."""
    if not any(isinstance(gate, ExplainingGate) for gate in gates):
        return tuple(Explanation() for _ in gates)
    explained: list[Explanation] = []
    with _worker(("explain", (job, verdicts), _log.isEnabledFor(logging.DEBUG))) as worker:
        try:
            while len(explained) < len(gates):
                message = worker.message(EXPLAIN_SECONDS + _START_SECONDS)
                explained.append(EXPLANATION.validate_python(message["explanation"], strict=False))
        except (queue.Empty, EOFError, ValidationError, LookupError, TypeError) as exc:
            _log.debug("no more explanations", exc_info=True)
            note = f"The charts were not made: their process ended or hung ({type(exc).__name__})."
            explained += [Explanation(note=note)] * (len(gates) - len(explained))
    return tuple(explained)


class _NotStartedError(Exception):
    """The worker process did not reach the gate."""


class _Run:
    """Verdicts so far."""

    def __init__(self, job: GateJob, gates: Sequence[Gate], progress: Progress) -> None:
        self._job, self._gates, self._progress = job, gates, progress
        self.waiting = list(running_order(gates))
        self.verdicts: dict[int, Verdict] = {}
        self.data: dict[str, str] = {}
        self._may_load = True

    def attempt(self) -> None:
        """Run one worker process until all gates have answered or one of them ends it."""
        arguments = self._job, self.waiting, self._may_load
        with _worker(("work", arguments, _log.isEnabledFor(logging.DEBUG))) as worker:
            while self.waiting:
                index = self.waiting[0]
                started = time.monotonic()
                try:
                    verdict = self._hear(worker, index)
                except _NotStartedError:
                    verdict = _never_started(self._gates[index])
                except queue.Empty:
                    verdict = _timed_out(self._gates[index])
                except EOFError:
                    verdict = _crashed(self._gates[index], worker.ended_by())
                else:
                    self._settle(index, verdict)
                    continue
                self._settle(index, _lasting(verdict, time.monotonic() - started))
                return

    def _hear(self, worker: _Worker, index: int) -> Verdict:
        """The verdict of the next gate.

        Raises queue.Empty after its time, EOFError when the worker has ended, _NotStartedError when it hangs
        before.
        """
        gate = self._gates[index]
        try:
            worker.message(_START_SECONDS)  # the message that it has started
        except queue.Empty:
            raise _NotStartedError from None
        self._progress.on_start(gate.name)
        message = worker.message(gate.options.max_seconds)
        try:
            verdict = VERDICT.validate_python(message["verdict"], strict=False)
            data = {str(role): str(value) for role, value in message["data"].items()}
        except (ValidationError, LookupError, TypeError, AttributeError):
            return _babble(gate)
        if verdict.gate != gate.name:
            return _babble(gate)
        self.data.update(data)
        return verdict

    def _settle(self, index: int, verdict: Verdict) -> None:
        self.waiting.remove(index)
        self.verdicts[index] = verdict
        self._may_load = self._may_load and not forbids_loading(self._gates[index], verdict)
        self._progress.on_verdict(verdict)


class _Worker:
    """The worker process and its messages."""

    def __init__(self, process: subprocess.Popen[bytes], request: bytes) -> None:
        self._process = process
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._send, args=(request,), daemon=True).start()
        threading.Thread(target=self._receive, daemon=True).start()

    def message(self, seconds: float) -> Message:
        """The next message. Raises queue.Empty when none comes in time, EOFError when the worker has ended."""
        line = self._lines.get(timeout=seconds)
        if not line.endswith(b"\n"):
            raise EOFError
        try:
            message: Message = orjson.loads(line)
        except orjson.JSONDecodeError as exc:
            raise EOFError from exc
        return message

    def ended_by(self) -> str:
        """Why the worker has ended, as readable text."""
        status = self._process.wait()
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def _send(self, request: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  # it is a pipe
        try:
            with self._process.stdin as stdin:
                stdin.write(request)
        except BrokenPipeError:
            _log.debug("the worker ended before it had read its job")

    def _receive(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # it is a pipe
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(b"")


@contextmanager
def _worker(request: object) -> Iterator[_Worker]:
    with tempfile.TemporaryDirectory(prefix="lifecycle-gates-", ignore_cleanup_errors=True) as scratch:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lifecycle.gates.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_without_secrets(), **owned_by_me(), "TMPDIR": scratch},
            start_new_session=True,
        )
        try:
            yield _Worker(process, pickle.dumps(request))
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                _log.debug("the worker had ended")
            process.wait()


def _without_secrets() -> dict[str, str]:
    """The environment without secrets, since the model's own code runs in the worker."""
    return {name: value for name, value in os.environ.items() if name not in _SECRETS}


def _timed_out(gate: Gate) -> Verdict:
    seconds = gate.options.max_seconds
    message = f"It took longer than {seconds:g} s and was stopped. Give fewer rows, or raise max_seconds."
    return inconclusive(gate.name, "timed_out", message, {"max_seconds": seconds})


def _never_started(gate: Gate) -> Verdict:
    return broke(gate.name, "error", f"The gate's process was not ready after {_START_SECONDS:g} s.")


def _babble(gate: Gate) -> Verdict:
    return broke(gate.name, "error", "The gate's process answered with something else than a verdict.")


def _crashed(gate: Gate, why: str) -> Verdict:
    return broke(gate.name, "crashed", f"The gate's process ended with {why} before it had an answer.")


def _lasting(verdict: Verdict, seconds: float) -> Verdict:
    return replace(verdict, seconds=seconds)
