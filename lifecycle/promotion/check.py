"""Run a stage's gates on a version and hand the evidence in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.model_ref import ModelRef
from lifecycle.domain.model_version import ModelVersion, Snapshot
from lifecycle.domain.policy import PolicyBook, StagePolicy
from lifecycle.domain.verdict import Verdict
from lifecycle.errors import NotFound
from lifecycle.registry.contract import ModelRegistry
from lifecycle.scoring.contract import Scorer

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.gates.report import GateReport
    from lifecycle.gates.subject import Candidate, Dataset, Subject


@dataclass(frozen=True, slots=True)
class Progress:
    """Whom to tell while the gates run."""

    on_start: Callable[[str], object] = lambda _: None
    on_verdict: Callable[[Verdict], object] = lambda _: None


@dataclass(frozen=True)
class Checker:
    """Runs gates.

    Attributes:
        load_scorer: The scorer that the gates score with.
        clock: UTC now.
        requested_by: Who to say it was.
    """

    registry: ModelRegistry
    policies: PolicyBook
    load_scorer: Callable[[Path], Scorer]
    clock: Callable[[], datetime]
    requested_by: str
    progress: Progress = field(default_factory=Progress)

    def check(self, ref: ModelRef, stage: str, current: str | pd.DataFrame | None = None) -> GateReport:
        """Judge a version for a stage, and record the evidence in the registry.

        Args:
            current: The rows of today, a file or a frame; beats the ``current`` options of the policy.

        Raises:
            NotFound: unknown model, version, stage or file.
            ConfigError: the policy names an unknown gate or option; nothing ran.
        """
        from lifecycle.gates.data import subject_for
        from lifecycle.gates.report import GateReport
        from lifecycle.gates.run import run_gates

        policy = self.policies.of(ref.name).stage(stage)
        version = self.registry.get(ref)
        snapshot = self.registry.snapshot(version)
        tracked = self.registry.tracked(version)
        subject = subject_for(
            self._candidate(version, snapshot),
            policy.name,
            tracked,
            _dataset(current, tracked.label if tracked else None),
            lambda: self._champion(version, policy),
        )
        verdicts = run_gates(policy.gates, subject, self.progress.on_start, self.progress.on_verdict)
        evidence = self._evidence(subject, policy, verdicts)
        return GateReport(self.registry.publish(evidence, _documents(evidence)))

    def _evidence(self, subject: Subject, policy: StagePolicy, verdicts: tuple[Verdict, ...]) -> Evidence:
        now = self.clock()
        data: Mapping[str, str] = subject.fingerprints()
        return Evidence(
            model=subject.candidate.version.model,
            version=subject.candidate.version.version,
            stage=policy.name,
            digest=subject.candidate.snapshot.digest,
            policy_digest=policy.digest,
            verdicts=verdicts,
            created_at=now,
            expires_at=now + policy.max_age,
            data=data,
            requested_by=self.requested_by,
        )

    def _candidate(self, version: ModelVersion, snapshot: Snapshot) -> Candidate:
        from lifecycle.gates.subject import Candidate

        return Candidate(version, snapshot, lambda: self.load_scorer(snapshot.path))

    def _champion(self, version: ModelVersion, policy: StagePolicy) -> Candidate | None:
        try:
            champion = self.registry.get(ModelRef(version.model, stage=policy.stage))
        except NotFound:
            return None
        if champion.version == version.version:
            return None
        return self._candidate(champion, self.registry.snapshot(champion))


def _documents(evidence: Evidence) -> Mapping[str, str]:
    from lifecycle.gates.report import render_html, render_markdown, title_of

    title = title_of(evidence)
    return {
        "report.html": render_html(title, evidence.verdicts),
        "report.md": render_markdown(title, evidence.verdicts),
        "verdicts.json": json.dumps([verdict.as_dict() for verdict in evidence.verdicts], indent=1),
    }


def _dataset(current: str | pd.DataFrame | None, label: str | None) -> Dataset | None:
    from lifecycle.gates.data import dataset_from_frame, read_dataset

    if current is None or isinstance(current, str):
        return read_dataset(current, label) if current else None
    return dataset_from_frame(current, label)
