"""A gate run: the job as data for another process, and its gates, one after the other, in this process."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, cast

from lifecycle.domain.charts import Chart, Explanation
from lifecycle.domain.model import ModelVersion, Snapshot, TrackedData
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.errors import LifecycleError, NotFound
from lifecycle.gates.contract import EXPLAIN_SECONDS, ExplainingGate, Gate, broke, failed, inconclusive, load_gate
from lifecycle.gates.subject import Candidate, ModelRaised, NotLoaded, Subject
from lifecycle.scoring.contract import Scorer

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.data.dataset import Dataset


@dataclass(frozen=True)
class GateJob:
    """A job: the version, its gates, and the data.

    Attributes:
        stage: The policy's word for the stage.
        champion: The version that holds the stage now, unless that is the candidate itself.
        tracked: What ``lifecycle.track()`` left in the training run, or None.
        current: Current rows for all gates, a source or a frame; overrides the gates' own options.
        reference: Rows to compare with instead of the logged ones, a source or a frame.
    """

    gates: tuple[GateSpec, ...]
    stage: str
    candidate: tuple[ModelVersion, Snapshot]
    champion: tuple[ModelVersion, Snapshot] | None = None
    tracked: TrackedData | None = None
    current: str | pd.DataFrame | None = None
    reference: str | pd.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Callbacks: a gate starts, and a gate has given its verdict."""

    on_start: Callable[[str], object] = lambda _: None
    on_verdict: Callable[[Verdict], object] = lambda _: None


@dataclass(frozen=True, slots=True)
class GateResults:
    """The results of a gate run.

    Attributes:
        verdicts: One per gate, in the order of the policy.
        data: Fingerprints of the data that was read, by role.
        explain: Makes charts and pages, one explanation per verdict. Slow; never raises.
    """

    verdicts: tuple[Verdict, ...]
    data: Mapping[str, str]
    explain: Callable[[], Sequence[Explanation]] = field(default=tuple, compare=False)


def subject_of(job: GateJob, load_scorer: Callable[[Path], Scorer]) -> Subject:
    """The subject of a job. Each part is loaded when a gate first uses it."""
    tracked = job.tracked
    subject = Subject(
        _candidate(job.candidate, load_scorer),
        job.stage,
        load_reference=lambda: _reference(job),
        load_current=lambda source: _rows(job.current if job.current is not None else source, job, subject),
        load_suite=lambda: _suite(tracked) if tracked else None,
        load_champion=lambda: _candidate(job.champion, load_scorer) if job.champion else None,
    )
    return subject


def _candidate(version: tuple[ModelVersion, Snapshot], load_scorer: Callable[[Path], Scorer]) -> Candidate:
    return Candidate(*version, load_scorer=lambda: load_scorer(version[1].path))


def _rows(source: str | pd.DataFrame | None, job: GateJob, subject: Subject) -> Dataset | None:
    from lifecycle.data.dataset import dataset_from_frame
    from lifecycle.data.read import read_dataset

    if source is None:
        return None
    label = job.tracked.label if job.tracked else None
    if not isinstance(source, str):
        return dataset_from_frame(source, label)
    return read_dataset(source, label, lambda: subject.reference.rows.types if subject.reference else {})


def _reference(job: GateJob) -> Dataset | None:
    from lifecycle.data.dataset import dataset_from_frame
    from lifecycle.data.read import read_dataset

    label = job.tracked.label if job.tracked else None
    if isinstance(job.reference, str):
        return read_dataset(job.reference, label)
    if job.reference is not None:
        return dataset_from_frame(job.reference, label, "the given reference")
    if job.tracked is None:
        return None
    return replace(read_dataset(str(job.tracked.reference), label), source="the reference rows")


def _suite(tracked: TrackedData) -> dict[str, Any]:
    from lifecycle.gates.data_quality.suite import read_suite

    return read_suite(tracked.suite)


_log = logging.getLogger(__name__)

_RUNNERS = ("not_found", "not_loaded", "model_raises", "error", "timed_out", "crashed")
"""Reasons of verdicts that the runner gives instead of the gate, so that there is nothing to explain."""


def run_here(job: GateJob, progress: Progress, load_scorer: Callable[[Path], Scorer]) -> GateResults:
    """Run a job in this process, which cannot stop a gate that takes too long.

    Raises:
        ConfigError: an unknown gate or a wrong option; nothing ran.
        UsageError: a gate cannot be imported; nothing ran.
    """
    subject = subject_of(job, load_scorer)
    verdicts = run_gates(job.gates, subject, progress)
    gates = [load_gate(spec) for spec in job.gates]
    return GateResults(verdicts, subject.fingerprints(), lambda: tuple(explain_gates(gates, verdicts, subject)))


def run_gates(
    specs: Sequence[GateSpec], subject: Subject, progress: Progress | None = None
) -> tuple[Verdict, ...]:
    """One verdict per gate, in order. Every gate runs, whatever the verdicts before.

    Gates that judge before loading run first, and unless they pass the model is not loaded for the others.

    Args:
        specs: The policy's gates. All their names and options are checked before the first one runs.
        subject: What the gates judge.
        progress: Callbacks.

    Raises:
        ConfigError: an unknown gate or a wrong option; nothing ran.
        UsageError: a gate cannot be imported; nothing ran.
    """
    gates = [load_gate(spec) for spec in specs]
    verdicts = dict(run_in_order(gates, running_order(gates), subject, progress or Progress()))
    return tuple(verdicts[index] for index in range(len(gates)))


def run_in_order(
    gates: Sequence[Gate], order: Iterable[int], subject: Subject, progress: Progress
) -> Iterator[tuple[int, Verdict]]:
    """Verdicts by index, in the order of completion."""
    for index in order:
        verdict = run_gate(gates[index], subject, progress)
        if forbids_loading(gates[index], verdict):
            subject.forbid_loading()
        yield index, verdict


def running_order(gates: Sequence[Gate]) -> Iterable[int]:
    """Indices of the gates: those that judge before loading come first."""
    return sorted(range(len(gates)), key=lambda index: not judges_before_loading(gates[index]))


def judges_before_loading(gate: Gate) -> bool:
    """Whether the gate judges before loading; by default it does not."""
    return bool(getattr(gate, "before_loading", False))


def forbids_loading(gate: Gate, verdict: Verdict) -> bool:
    """Whether the model must not be loaded after this verdict."""
    return judges_before_loading(gate) and verdict.outcome is not Outcome.PASSED


def run_gate(gate: Gate, subject: Subject, progress: Progress) -> Verdict:
    """One gate's verdict; an exception becomes ERROR."""
    progress.on_start(gate.name)
    started = time.monotonic()
    verdict = replace(_evaluate(gate, subject), seconds=time.monotonic() - started)
    progress.on_verdict(verdict)
    return verdict


def explain_gates(
    gates: Sequence[Gate], verdicts: Sequence[Verdict], subject: Subject, seconds: float = EXPLAIN_SECONDS
) -> Iterator[Explanation]:
    """One explanation per verdict, in order. Call it when the verdicts are recorded; it may take minutes.

    Args:
        gates: The gates that gave the verdicts.
        subject: What they judged, with their findings, or loaded anew in another process.
        seconds: Time limit of each gate; after it the next gate is explained.
    """
    if any(map(forbids_loading, gates, verdicts)):
        subject.forbid_loading()
    for gate, verdict in zip(gates, verdicts, strict=True):
        yield explain_gate(gate, verdict, subject, seconds)


def explain_gate(gate: Gate, verdict: Verdict, subject: Subject, seconds: float) -> Explanation:
    """One gate's charts and pages within ``seconds``; never raises."""
    if not isinstance(gate, ExplainingGate) or verdict.reason in {f"{gate.name}.{what}" for what in _RUNNERS}:
        return Explanation()
    charts: list[Chart] = []
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    Thread(target=lambda: ended.put(_explain(gate, verdict, subject, charts)), daemon=True).start()
    try:
        note = ended.get(timeout=seconds)
    except queue.Empty:
        note = f"Charts that took longer than {seconds:g} s were left out."
    return Explanation(tuple(charts), note)


def _explain(gate: ExplainingGate, verdict: Verdict, subject: Subject, charts: list[Chart]) -> str:
    """Append the charts as they come; returns why some are missing, or an empty text."""
    try:
        for chart in cast("Iterable[object]", gate.explain(subject, verdict)):
            if not isinstance(chart, Chart):  # a third-party gate
                return "The gate gave something else than charts."
            charts.append(chart)
    except Exception as exc:
        _log.debug("gate %s cannot explain its verdict", verdict.gate, exc_info=True)
        return f"Some charts could not be made: {_where(exc)}."
    return ""


def _evaluate(gate: Gate, subject: Subject) -> Verdict:
    try:
        return gate.evaluate(subject)
    except NotFound as exc:
        return inconclusive(gate.name, "not_found", f"Something to judge on is missing: {exc}")
    except NotLoaded as exc:
        return inconclusive(gate.name, "not_loaded", f"{exc}.")
    except ModelRaised as exc:
        _log.debug("the model raises for gate %s", gate.name, exc_info=True)
        return failed(gate.name, "model_raises", f"On the gate's rows {exc}. Those who ask it would get errors.")
    except LifecycleError as exc:
        return broke(gate.name, "error", f"The gate could not finish: {exc}")
    except Exception as exc:
        _log.debug("gate %s broke", gate.name, exc_info=True)
        return broke(gate.name, "error", f"The gate broke: {_where(exc)}. See it all with --debug.")


def _where(exc: Exception) -> str:
    """Type and place of an exception, without its text, which often quotes row values."""
    if isinstance(exc, ImportError):
        return f"{type(exc).__name__}: {exc}"
    frames = extract_tb(exc.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(exc).__name__ + place
