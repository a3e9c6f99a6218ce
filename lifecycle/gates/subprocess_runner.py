"""Runs gates in a separate process: a hanging gate is stopped, a crash stays there."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import ValidationError

from lifecycle.domain.charts import Explanation
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import EXPLAIN_SECONDS, ExplainingGate, Gate, broke, inconclusive, load_gate
from lifecycle.gates.gate_process import GateProcess
from lifecycle.gates.run import GateJob, GateResults, Progress, forbids_loading, running_order
from lifecycle.gates.subprocess_main import EXPLANATION, VERDICT

_log = logging.getLogger(__name__)
_START_SECONDS = 120.0  # for the process's own imports


def run_isolated(job: GateJob, progress: Progress) -> GateResults:
    """Run a job in another process, which is ended when a gate exceeds ``max_seconds``; the others still run.

    A process that gave all verdicts is kept with its data until the verdicts are explained or the
    results are dropped.

    Raises:
        NotFound, Conflict, Unavailable, UsageError: as :func:`load_gate`; nothing ran.
        ConfigError: a wrong option; nothing ran.
    """
    gates = [load_gate(spec) for spec in job.gates]
    run = _Run(job, gates, progress)
    while run.waiting:
        run.attempt()
    verdicts = tuple(run.verdicts[i] for i in range(len(gates)))
    return GateResults(verdicts, run.data, partial(_explanations, job, gates, verdicts, run.kept))


def _explanations(
    job: GateJob, gates: Sequence[Gate], verdicts: Sequence[Verdict], kept: list[GateProcess]
) -> tuple[Explanation, ...]:
    """One explanation per verdict. If their process crashes, the others get a note."""
    if not any(isinstance(gate, ExplainingGate) for gate in gates):
        return tuple(Explanation() for _ in gates)
    explained = _explained_by(kept.pop(), job, verdicts) if kept else []
    if not explained:  # no process was kept, or it has ended
        explained = _explained_by(GateProcess(), job, verdicts)
    note = Explanation(note="The charts were not made: their process ended or hung.")
    return (*explained, *[note] * (len(gates) - len(explained)))


def _explained_by(process: GateProcess, job: GateJob, verdicts: Sequence[Verdict]) -> list[Explanation]:
    """Explanations that the process makes before it ends or hangs."""
    explained: list[Explanation] = []
    try:
        process.ask(("explain", (job, verdicts), _debug()))
        while len(explained) < len(verdicts):
            message = process.message(EXPLAIN_SECONDS + _START_SECONDS)
            explained.append(EXPLANATION.validate_python(message["explanation"], strict=False))
    except (queue.Empty, EOFError, ValidationError, LookupError):
        _log.debug("no more explanations", exc_info=True)
    finally:
        process.end()
    return explained


def _debug() -> bool:
    return _log.isEnabledFor(logging.DEBUG)


class _Run:
    """Verdicts so far."""

    def __init__(self, job: GateJob, gates: Sequence[Gate], progress: Progress) -> None:
        self._job, self._gates, self._progress = job, gates, progress
        self.waiting = list(running_order(gates))
        self.verdicts: dict[int, Verdict] = {}
        self.data: dict[str, str] = {}
        self.kept: list[GateProcess] = []
        self._may_load = True

    def attempt(self) -> None:
        """Run one process until all gates have answered or one of them ends it."""
        process = GateProcess()
        try:
            process.ask(("evaluate", (self._job, tuple(self.waiting), self._may_load), _debug()))
            while self.waiting and self._is_settled(process, self.waiting[0]):
                continue
            if not self.waiting:
                self.kept.append(process)
        finally:
            if not self.kept:
                process.end()

    def _is_settled(self, process: GateProcess, index: int) -> bool:
        """Whether the process gave the verdict of the next gate and can continue."""
        gate, started, running = self._gates[index], time.monotonic(), False
        try:
            process.message(_START_SECONDS)  # the message that it has started
            running = True
            self._progress.on_start(gate.name)
            verdict = self._hear(process.message(gate.options.max_seconds), gate)
        except queue.Empty:
            late = f"The gate's process was not ready after {_START_SECONDS:g} s."
            verdict = _timed_out(gate) if running else broke(gate.name, "error", late)
        except EOFError:
            message = f"The gate's process ended with {process.ended_by()} before it had an answer."
            verdict = broke(gate.name, "crashed", message)
        else:
            self._settle(index, verdict)
            return True
        self._settle(index, replace(verdict, seconds=time.monotonic() - started))
        return False

    def _hear(self, message: Mapping[str, Any], gate: Gate) -> Verdict:
        """The verdict of a gate, from its process's message."""
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


def _timed_out(gate: Gate) -> Verdict:
    seconds = gate.options.max_seconds
    message = f"It took longer than {seconds:g} s and was stopped. Give fewer rows, or raise max_seconds."
    return inconclusive(gate.name, "timed_out", message, {"max_seconds": seconds})


def _babble(gate: Gate) -> Verdict:
    return broke(gate.name, "error", "The gate's process answered with something else than a verdict.")
