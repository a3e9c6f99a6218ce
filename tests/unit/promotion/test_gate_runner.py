"""A check judges one snapshot, for one stage, and hands in evidence that says exactly what was judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from lifecycle.domain.charts import Explanation
from lifecycle.domain.model import ModelRef, TrackedData
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.verdict import Outcome
from lifecycle.errors import IntegrityError, NotFound, PromotionRefused, Unavailable, UsageError
from lifecycle.gates.run import Progress, run_here
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.loader import load_scorer

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PERFORMANCE = GateSpec(
    "performance", {"metric": "roc_auc", "min": 0.5, "max_drop_vs_champion": 0.5, "min_rows": 50}
)
STAGING = StagePolicy("staging", "Staging", (GateSpec("signature"), PERFORMANCE), max_age=timedelta(days=2))
PRODUCTION = StagePolicy("production", "Production", (GateSpec("signature"),), alias="champion")
POLICIES = PolicyBook(ModelPolicy((STAGING, PRODUCTION)))
FIRST = ModelRef("flights-delay", version=1)


def _run(job, progress):
    return run_here(job, progress, load_scorer)


@pytest.fixture
def rows(lifecycle_models):
    """Fifty flights with a label that both models find easy: their own answer."""
    model = lifecycle_models[0]
    return pd.DataFrame(dict(model.rows)).assign(
        late=(model.expected[:, 1] > model.expected[:, 1].mean()).astype(int)
    )


@pytest.fixture
def registry(lifecycle_models, rows, tmp_path):
    registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), POLICIES, lambda: NOW)
    reference, suite = tmp_path / "reference.parquet", tmp_path / "expectations.json"
    rows.to_parquet(reference)
    suite.write_text("{}")
    for model in lifecycle_models:
        registry.add("flights-delay", model.snapshot.path, TrackedData(reference, suite, "late"))
    return registry


@pytest.fixture
def gate_runner(registry):
    return GateRunner(registry, POLICIES, _run, lambda: NOW, "ada")


def test_evidence_says_what_was_judged_by_what_demands_and_how_long_it_counts(
    gate_runner, registry, lifecycle_models
):
    evidence = gate_runner.run(FIRST, "staging").evidence
    assert [(v.gate, v.outcome) for v in evidence.verdicts] == [
        ("signature", Outcome.PASSED),
        ("performance", Outcome.PASSED),
    ]
    assert (evidence.model, evidence.version, evidence.stage) == ("flights-delay", 1, "staging")
    assert evidence.digest == lifecycle_models[0].snapshot.digest
    assert evidence.policy_digest == STAGING.digest
    assert (evidence.created_at, evidence.expires_at) == (NOW, NOW + timedelta(days=2))
    assert evidence.requested_by == "ada"
    assert set(evidence.data) == {"reference"}
    assert registry.evidence(registry.get(FIRST)) == [evidence]


def test_the_reports_go_along_in_forms_for_people_and_machines(gate_runner, registry):
    evidence = gate_runner.run(FIRST, "staging").evidence
    documents = registry.documents[evidence.evidence_id]
    assert set(documents) == {"report.html", "report.md", "junit.xml", "verdicts.json"}
    assert "performance" in documents["report.md"]


def explaining(gate_runner, explain):
    """The runner, with something else in place of the charts of its gates."""
    return replace(gate_runner, execute=lambda job, progress: replace(_run(job, progress), explain=explain))


def test_evidence_is_on_record_before_any_chart_is_made(gate_runner, registry):
    recorded = []

    def explain():
        recorded.extend(evidence.outcome for evidence in registry.evidence(registry.get(FIRST)))
        return [Explanation(note="Too late."), Explanation()]

    evidence = explaining(gate_runner, explain).run(FIRST, "staging").evidence
    assert recorded == [Outcome.PASSED]
    assert evidence.outcome is Outcome.PASSED
    assert "Too late." in registry.documents[evidence.evidence_id]["report.html"]


def test_whoever_asks_for_verdicts_alone_gets_evidence_and_no_chart(gate_runner, registry):
    def explain():
        raise AssertionError("nobody looks at charts")

    evidence = explaining(gate_runner, explain).judge(FIRST, "staging").evidence
    assert registry.evidence(registry.get(FIRST)) == [evidence]
    assert set(registry.documents[evidence.evidence_id]) == {"report.md", "junit.xml", "verdicts.json"}


def test_a_report_that_mlflow_does_not_take_costs_no_evidence(gate_runner, registry, monkeypatch, caplog):
    def attach(*_):
        raise Unavailable("the tracking server does not answer")

    monkeypatch.setattr(registry, "attach", attach)
    evidence = gate_runner.run(FIRST, "staging").evidence
    assert registry.evidence(registry.get(FIRST)) == [evidence]
    assert "the tracking server does not answer" in caplog.text


def test_current_data_is_named_by_its_fingerprint_and_a_file_and_a_frame_will_do(gate_runner, rows, tmp_path):
    file = tmp_path / "july.parquet"
    rows.to_parquet(file)
    by_file, by_frame = (gate_runner.run(FIRST, "staging", current).evidence for current in (str(file), rows))
    assert set(by_file.data) == set(by_frame.data) == {"current"}
    assert by_file.outcome is by_frame.outcome is Outcome.PASSED


def test_a_candidate_is_compared_with_the_version_that_holds_the_stage_and_never_with_itself(
    gate_runner, registry
):
    def compared_with(version):
        evidence = gate_runner.run(ModelRef("flights-delay", version=version), "staging").evidence
        return evidence.verdicts[1].figures.get("champion_version")

    assert (compared_with(1), compared_with(2)) == (None, None)
    Promoter(registry, POLICIES, lambda _: None, "ada", lambda: NOW).promote(FIRST, "staging")
    assert (compared_with(1), compared_with(2)) == (None, 1)


def test_whoever_waits_is_told_gate_by_gate(gate_runner):
    told = []
    progress = Progress(
        on_start=lambda name: told.append(f"{name} starts"),
        on_verdict=lambda v: told.append(f"{v.gate} {v.outcome}"),
    )
    replace(gate_runner, progress=progress).run(FIRST, "staging")
    assert told == ["signature starts", "signature PASSED", "performance starts", "performance PASSED"]


@pytest.mark.parametrize(
    ("ref", "stage", "current", "error"),
    [
        (ModelRef("flihgts-delay", version=1), "staging", None, NotFound),
        (ModelRef("flights-delay", version=9), "staging", None, NotFound),
        (FIRST, "stagign", None, NotFound),
        (FIRST, "staging", "nowhere.parquet", NotFound),
        (FIRST, "staging", __file__, UsageError),
    ],
)
def test_what_cannot_be_judged_leaves_no_evidence(gate_runner, registry, ref, stage, current, error):
    with pytest.raises(error):
        gate_runner.run(ref, stage, current)
    assert registry.evidence(registry.get(FIRST)) == []


def test_attempts_are_counted_for_each_version_and_stage(gate_runner):
    for ref, stage, expected in [
        (FIRST, "staging", 1),
        (FIRST, "staging", 2),
        (FIRST, "production", 1),
        (ModelRef("flights-delay", version=2), "staging", 1),
        (FIRST, "staging", 3),
    ]:
        assert gate_runner.run(ref, stage).evidence.attempt == expected


def test_when_all_attempts_are_used_no_gate_runs(gate_runner, registry):
    policies = PolicyBook(ModelPolicy((replace(STAGING, max_attempts=2),)))
    told = []
    gate_runner = replace(gate_runner, policies=policies, progress=Progress(on_start=told.append))
    gate_runner.run(FIRST, "staging")
    gate_runner.run(FIRST, "staging")
    told.clear()
    with pytest.raises(PromotionRefused, match="have been run 2 times for staging, and max_attempts is 2"):
        gate_runner.run(FIRST, "staging")
    assert told == []
    assert gate_runner.run(ModelRef("flights-delay", version=2), "staging").evidence.attempt == 1


def test_a_look_at_some_gates_is_no_evidence_and_no_attempt(gate_runner, registry):
    report = gate_runner.run(FIRST, "staging", only=["performance"])
    assert [v.gate for v in report.verdicts] == ["performance"]
    assert registry.evidence(registry.get(FIRST)) == []
    assert gate_runner.run(FIRST, "staging").evidence.attempt == 1
    with pytest.raises(NotFound, match="did you mean 'performance'"):
        gate_runner.run(FIRST, "staging", only=["perfromance"])


def test_a_reference_may_be_given_instead_of_the_tracked_one(gate_runner, rows, tmp_path):
    file = tmp_path / "held_out.parquet"
    rows.head(49).to_parquet(file)
    for reference in (str(file), rows.head(49)):
        evidence = gate_runner.run(FIRST, "staging", reference=reference).evidence
        assert evidence.verdicts[1].reason == "performance.too_few_rows"
    policies = PolicyBook(ModelPolicy((STAGING,), reference=str(file)))
    evidence = replace(gate_runner, policies=policies).run(FIRST, "staging").evidence
    assert evidence.verdicts[1].reason == "performance.too_few_rows"


def test_an_unknown_gate_stops_everything_before_the_first_one_runs(gate_runner, registry):
    told = []
    policy = replace(STAGING, gates=(GateSpec("signature"), GateSpec("drfit")))
    gate_runner = replace(
        gate_runner, policies=PolicyBook(ModelPolicy((policy,))), progress=Progress(on_start=told.append)
    )
    with pytest.raises(NotFound, match="did you mean 'drift'"):
        gate_runner.run(FIRST, "staging")
    assert told == []
    assert registry.evidence(registry.get(FIRST)) == []


def test_a_snapshot_whose_files_changed_is_not_judged(gate_runner, registry, tmp_path):
    gate_runner.run(FIRST, "production")
    before = registry.evidence(registry.get(FIRST))
    (mlmodel,) = tmp_path.glob("snapshots/*/MLmodel")
    mlmodel.chmod(0o600)
    mlmodel.write_text(mlmodel.read_text() + "\n")
    with pytest.raises(IntegrityError, match="MLmodel was changed"):
        gate_runner.run(FIRST, "production")
    assert registry.evidence(registry.get(FIRST)) == before
