"""A gate run as data for another process: the job, its results, and the subject that its gates judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.domain.charts import Explanation
from lifecycle.domain.model import ModelVersion, Snapshot, TrackedData
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.subject import Candidate, Subject
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
