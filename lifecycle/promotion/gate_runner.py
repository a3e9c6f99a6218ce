"""Runs a stage's gates on a version and delivers the evidence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from lifecycle.domain.model import ModelRef, ModelState, ModelVersion, Snapshot
from lifecycle.domain.policy import GateSpec, PolicyBook, StagePolicy
from lifecycle.domain.promotion.decide import out_of_attempts
from lifecycle.domain.verdict import Evidence
from lifecycle.errors import LifecycleError, NotFound, PromotionRefused, unknown
from lifecycle.gates.run import GateJob, GateResults, Progress
from lifecycle.registry.contract import ModelRegistry, version_meant

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.gates.report import GateReport

_LOG = logging.getLogger(__name__)

Rows: TypeAlias = "str | pd.DataFrame"


@dataclass(frozen=True)
class GateRunner:
    """Runs gates.

    Attributes:
        execute: Runs the gates of a job.
        clock: Current time, UTC.
        requested_by: Name of the requester.
    """

    registry: ModelRegistry
    policies: PolicyBook
    execute: Callable[[GateJob, Progress], GateResults]
    clock: Callable[[], datetime]
    requested_by: str
    progress: Progress = field(default_factory=Progress)

    def run(
        self,
        ref: ModelRef,
        stage: str,
        current: Rows | None = None,
        reference: Rows | None = None,
        only: Sequence[str] = (),
    ) -> GateReport:
        """Run the gates, record the evidence, then add explanations to its MLflow run."""
        report = self.judge(ref, stage, current, reference, only)
        if not only:
            self.explain(report)
        return report

    def judge(
        self,
        ref: ModelRef,
        stage: str,
        current: Rows | None = None,
        reference: Rows | None = None,
        only: Sequence[str] = (),
    ) -> GateReport:
        """Run the gates of a stage on a version, and record the evidence. No chart is made.

        Args:
            current: Current rows, a source or a frame; overrides the policy's ``current`` options.
            reference: Rows to compare with, instead of those that the training run logged.
            only: Run these gates alone. Such a partial run is not recorded as evidence.

        Raises:
            NotFound: unknown model, version, stage, gate or file.
            UsageError: the data cannot be read.
            ConfigError: the policy names an unknown option of a gate; nothing ran.
            PromotionRefused: the version has no attempt left; nothing ran.
        """
        from lifecycle.gates.report import GateReport, verdict_documents

        policy = self.policies.of(ref.name).stage(stage)
        state = self.registry.state(ref.name)
        version = version_meant(ref, state.versions, self.policies.of(ref.name))
        shown = () if only else state.evidence_of(version.version)
        attempt = 0 if only else 1 + max((e.attempt for e in shown if e.stage == policy.name), default=0)
        if policy.max_attempts is not None and attempt > policy.max_attempts:
            raise PromotionRefused(out_of_attempts(version.model, version.version, policy, attempt))
        job = GateJob(
            gates=_chosen(policy, only),
            stage=policy.name,
            candidate=(version, self.registry.fetched(version)),
            champion=self._champion(state, version, policy),
            tracked=self.registry.tracked(version),
            current=current,
            reference=reference if reference is not None else self.policies.of(version.model).reference,
        )
        _check_readable(job)
        results = self.execute(job, self.progress)
        evidence = self._evidence(job, policy, results, attempt)
        if not only:
            evidence = self.registry.publish(evidence, verdict_documents(evidence))
        return GateReport(evidence, results.explain)

    def explain(self, report: GateReport) -> None:
        """Make the charts, and add their pages to the MLflow run of the evidence.

        The evidence is valid without them, so a failure is only logged.
        """
        try:
            self.registry.attach(report.evidence, report.pages())
        except LifecycleError as exc:
            _LOG.warning("The verdicts are recorded, but their report is not in MLflow: %s", exc)

    def _evidence(self, job: GateJob, policy: StagePolicy, results: GateResults, attempt: int) -> Evidence:
        now = self.clock()
        version, snapshot = job.candidate
        return Evidence(
            model=version.model,
            version=version.version,
            stage=policy.name,
            digest=snapshot.digest,
            policy_digest=policy.digest,
            verdicts=results.verdicts,
            created_at=now,
            expires_at=now + policy.max_age,
            data=results.data,
            requested_by=self.requested_by,
            attempt=attempt,
        )

    def _champion(
        self, state: ModelState, version: ModelVersion, policy: StagePolicy
    ) -> tuple[ModelVersion, Snapshot] | None:
        try:
            holder = ModelRef(version.model, stage=policy.name)
            champion = version_meant(holder, state.versions, self.policies.of(version.model))
        except NotFound:
            return None
        if champion.version == version.version:
            return None
        return champion, self.registry.fetched(champion)


def _chosen(policy: StagePolicy, only: Sequence[str]) -> tuple[GateSpec, ...]:
    names = [spec.name for spec in policy.gates]
    for name in only:
        if name not in names:
            raise NotFound(unknown(f"gate of {policy.name}", name, names))
    return tuple(spec for spec in policy.gates if not only or spec.name in only)


def _check_readable(job: GateJob) -> None:
    """Check that named data exists; missing data is a wrong call, not a verdict."""
    from lifecycle.data.dataset import check_columns
    from lifecycle.data.read import check_source

    for rows in (job.current, job.reference):
        if isinstance(rows, str):
            check_source(rows)
        elif rows is not None:
            check_columns(list(rows.columns), "the given data")
