"""One MLflow run for each gate run: figures as metrics, verdicts as tags, reports as artifacts."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient

from lifecycle.domain.verdict import Evidence, Outcome

_MAX_METRICS, _MAX_PARAMS, _MAX_TAGS = 1000, 100, 100  # of one log_batch call
_NOT_IN_METRIC_NAMES = re.compile(r"[^\w\-. ]")  # a slash would make it a path, which MLflow may refuse


class GateRunLog:
    """Logs gate runs to MLflow's tracking server, with as few requests as it takes.

    Experiments and artifact stores are remembered: a worker asks for them once.
    """

    def __init__(self, client: MlflowClient, tracking_uri: str) -> None:
        self._client = client
        self._tracking_uri = tracking_uri
        self._experiments: dict[str, str] = {}
        self._artifacts: dict[str, str] = {}

    def log(self, evidence: Evidence, documents: Mapping[str, str]) -> str:
        """Log evidence and reports to a new run of the experiment ``lifecycle/<model>``.

        Returns:
            The run's id. A run that could not be completed is marked FAILED.
        """
        client, run_id = self._client, self._start(evidence)
        try:
            client.log_batch(
                run_id,
                metrics=list(_metrics(evidence))[:_MAX_METRICS],
                params=list(_params(evidence))[:_MAX_PARAMS],
                tags=list(_tags(evidence))[:_MAX_TAGS],
            )
            self.attach(run_id, documents)
        except BaseException:
            client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
        return run_id

    def attach(self, run_id: str, documents: Mapping[str, str]) -> None:
        """Add files to a run."""
        if run_id not in self._artifacts:
            self._artifacts[run_id] = self._client.get_run(run_id).info.artifact_uri
        store = get_artifact_repository(self._artifacts[run_id], self._tracking_uri)
        with TemporaryDirectory(prefix="lifecycle-report-") as folder:
            for file_name, text in documents.items():
                file = Path(folder, file_name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            store.log_artifacts(folder)

    def _start(self, evidence: Evidence) -> str:
        name, run_name = f"lifecycle/{evidence.model}", f"{evidence.stage} v{evidence.version}"
        experiment = self._experiments.get(name) or _experiment_id(self._client, name)
        try:
            run = self._client.create_run(experiment, run_name=run_name)
        except MlflowException:
            self._experiments.pop(name, None)  # it may have been deleted
            raise
        self._experiments[name] = experiment
        run_id: str = run.info.run_id
        self._artifacts[run_id] = run.info.artifact_uri
        return run_id


def _experiment_id(client: MlflowClient, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            created: str = client.create_experiment(name)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)  # another gate run made it meanwhile
        else:
            return created
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    found: str = experiment.experiment_id
    return found


def _metrics(evidence: Evidence) -> Iterator[Metric]:
    now_ms = int(time.time() * 1000)
    for verdict in evidence.verdicts:
        passed = int(verdict.outcome is Outcome.PASSED)
        figures = {**verdict.figures, "passed": passed, "seconds": verdict.seconds}
        for figure, value in figures.items():
            if isinstance(value, int | float) and math.isfinite(value):
                name = _NOT_IN_METRIC_NAMES.sub("_", f"{verdict.gate}.{figure}")[:250]
                yield Metric(name, float(value), now_ms, 0)


def _params(evidence: Evidence) -> Iterator[Param]:
    yield Param("snapshot", evidence.digest)
    yield Param("policy", evidence.policy_digest)
    for role, fingerprint in evidence.data.items():
        yield Param(_NOT_IN_METRIC_NAMES.sub("_", f"data.{role}"), fingerprint)


def _tags(evidence: Evidence) -> Iterator[RunTag]:
    yield RunTag("lifecycle.model_version", f"models:/{evidence.model}/{evidence.version}")
    yield RunTag("lifecycle.stage", evidence.stage)
    yield RunTag("lifecycle.outcome", str(evidence.outcome))
    yield RunTag("lifecycle.attempt", str(evidence.attempt))
    for verdict in evidence.verdicts:
        yield RunTag(f"lifecycle.gate.{verdict.gate}", str(verdict.outcome))
