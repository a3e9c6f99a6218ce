"""How MLflow shows a gate run: a run with metrics, tags and reports, and a table in the description."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from lifecycle.domain.evidence import Evidence
from lifecycle.domain.sanitize import markdown_text
from lifecycle.domain.verdict import Outcome

_MAX_METRICS, _MAX_PARAMS, _MAX_TAGS = 1000, 100, 100  # of one log_batch call
_NOT_IN_METRIC_NAMES = re.compile(r"[^\w\-. ]")  # a slash would make it a path, which MLflow may refuse


def log_gate_run(client: MlflowClient, evidence: Evidence, documents: Mapping[str, str]) -> str:
    """Log evidence and reports to a new run of the experiment ``lifecycle/<model>``.

    Returns:
        The run's id. A run that could not be completed is marked FAILED.
    """
    experiment_id = _experiment_id(client, f"lifecycle/{evidence.model}")
    run = client.create_run(experiment_id, run_name=f"{evidence.stage} v{evidence.version}")
    run_id: str = run.info.run_id
    try:
        client.log_batch(
            run_id,
            metrics=list(_metrics(evidence))[:_MAX_METRICS],
            params=list(_params(evidence))[:_MAX_PARAMS],
            tags=list(_tags(evidence))[:_MAX_TAGS],
        )
        for file_name, text in documents.items():
            client.log_text(run_id, text, file_name)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
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


_MAX_CHARS = 5000  # what MLflow's column holds
_GAP = "&ensp;"  # MLflow shows tables without any space between their columns
_MESSAGE_CHARS = (160, 60)  # of each gate; the second where there is little room


def described(description: str, evidence: Evidence) -> str:
    """The description with the table of this evidence's stage, put in or replaced where it stood.

    A person's words come first: where they leave no room, the table gets shorter, then a line, then goes.
    """
    start, end = f"<!-- lifecycle:{evidence.stage} -->", f"<!-- /lifecycle:{evidence.stage} -->"
    there = _block(markdown_text(evidence.stage), start, end)
    for table in _shorter_and_shorter(evidence):
        # MLflow's list of versions shows how the first line begins, as it is written: so with words, not markup.
        block = f"{_headline(evidence)} {start}\n{table}{end}"
        combined, replaced = there.subn(lambda _, block=block: block, description, count=1)  # type: ignore[misc]
        if not replaced:
            combined = f"{description.rstrip()}\n\n{block}".lstrip()
        if len(combined) <= _MAX_CHARS:
            return combined
    return there.sub("", description)


def _block(stage: str, start: str, end: str) -> re.Pattern[str]:
    """A headline and the table below it. A person's words before them on the line are not part of it."""
    headline = rf"(?:{re.escape(stage)}: [A-Z]+ · [^\n]*)?{re.escape(start)}"
    # Not across another start: whose end somebody has deleted reaches into their own words.
    return re.compile(rf"{headline}(?:(?!{re.escape(start)}).)*?{re.escape(end)}", re.DOTALL)


def _headline(evidence: Evidence) -> str:
    return (
        f"{markdown_text(evidence.stage)}: {evidence.outcome} · attempt {evidence.attempt} · "
        f"{evidence.created_at:%Y-%m-%d %H:%M} UTC · snapshot {markdown_text(evidence.digest[:12])}"
    )


def _shorter_and_shorter(evidence: Evidence) -> list[str]:
    return [*(f"\n{_table(evidence, chars)}\n" for chars in _MESSAGE_CHARS), ""]


def _table(evidence: Evidence, message_chars: int) -> str:
    rows = (
        f"| {markdown_text(v.gate)}{_GAP} | {v.outcome}{_GAP} | {markdown_text(v.message, message_chars)} |"
        for v in evidence.verdicts
    )
    return "\n".join(["| gate | verdict | why |", "| --- | --- | --- |", *rows])
