"""Taking any single verdict out of the evidence makes the promotion refuse, whichever way it arrives."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.assembly import load_settings
from lifecycle.domain.evidence import Evidence
from lifecycle.domain.ledger import Action
from lifecycle.domain.model_ref import ModelRef
from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.registry.tags import evidence_key

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2] / "projects" / "flights"
POLICIES = load_settings(PROJECT / "lifecycle.yaml").policies
"""Those that the story goes by."""

MODEL = "flights-delay"
STAGES = {stage.name: stage for stage in POLICIES.of(MODEL).stages}
DEMANDS = [(stage.name, gate.name) for stage in STAGES.values() for gate in stage.gates]
VERSION = ModelRef(MODEL, version=1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A database with one version; MLflow takes seconds to lay it out."""
    database = tmp_path_factory.mktemp("prepared") / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{database}").engine.dispose()
    client = MlflowClient(f"sqlite:///{database}", f"sqlite:///{database}")
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, "file:///nowhere", await_creation_for=None)
    return database


@pytest.fixture
def client(prepared, tmp_path, monkeypatch):
    """Any MLflow client of a registry on a laptop, with the guard in its process."""
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(PROJECT / "lifecycle.yaml"))
    database = shutil.copy(prepared, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{database}", f"lifecycle+sqlite:///{database}")


@pytest.fixture
def registry(client, tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    snapshots = SnapshotStore(tmp_path / "snapshots")
    return MlflowRegistry(uri, f"lifecycle+{uri}", snapshots, POLICIES, lambda: datetime.now(UTC))


@pytest.fixture
def promoter(registry):
    return Promoter(registry, POLICIES, lambda _: None, "ada")


def evidence(stage: str) -> Evidence:
    """Every gate of the stage PASSED."""
    policy, now = STAGES[stage], datetime.now(UTC)
    return Evidence(
        model=MODEL,
        version=1,
        stage=stage,
        digest="d" * 64,
        policy_digest=policy.digest,
        verdicts=tuple(Verdict(gate.name, Outcome.PASSED, f"{gate.name}.ok", "fine") for gate in policy.gates),
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


def without(whole: Evidence, gate: str) -> Evidence:
    return replace(whole, verdicts=tuple(v for v in whole.verdicts if v.gate != gate))


def spoiled(whole: Evidence, gate: str, outcome: Outcome) -> Evidence:
    verdicts = (replace(v, outcome=outcome) if v.gate == gate else v for v in whole.verdicts)
    return replace(whole, verdicts=tuple(verdicts))


def deliver(client, record):
    """As any MLflow client can."""
    client.set_model_version_tag(MODEL, "1", evidence_key(record.stage), record.to_json())


def reach(client, promoter, stage):
    """Everything that comes before the stage, with whole evidence."""
    for earlier in POLICIES.of(MODEL).path_to(stage)[:-1]:
        deliver(client, evidence(earlier.name))
        promoter.promote(VERSION, earlier.name)


def refused(promoter, stage):
    with pytest.raises(PromotionRefused) as caught:
        promoter.promote(VERSION, stage)
    return str(caught.value)


def test_the_story_demands_ten_verdicts():
    assert len(DEMANDS) == 10


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_without_one_verdict_the_promotion_is_refused_and_with_it_allowed(registry, promoter, client, stage, gate):
    reach(client, promoter, stage)
    before = registry.versions(MODEL)
    registry.publish(without(evidence(stage), gate), {})
    said = refused(promoter, stage)
    assert f"{gate} (not run)" in said
    assert f"lifecycle gate run models:/{MODEL}/1 --stage {stage}" in said
    assert registry.versions(MODEL) == before
    last = registry.history(MODEL)[-1]
    assert (last.action, last.stage, last.detail) == (Action.REFUSED, stage, said)
    registry.publish(evidence(stage), {})
    assert promoter.promote(VERSION, stage).action is Action.PROMOTED
    assert registry.get(ModelRef(MODEL, stage=stage)).version == 1


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_a_tag_written_by_a_plain_client_gets_no_further(registry, promoter, client, stage, gate):
    reach(client, promoter, stage)
    before = registry.versions(MODEL)
    deliver(client, without(evidence(stage), gate))
    assert f"{gate} (not run)" in refused(promoter, stage)
    assert registry.versions(MODEL) == before


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_nothing_but_passed_will_do(registry, promoter, client, stage, gate):
    reach(client, promoter, stage)
    before = registry.versions(MODEL)
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR):
        deliver(client, spoiled(evidence(stage), gate, outcome))
        assert f"{gate} ({outcome})" in refused(promoter, stage)
    assert registry.versions(MODEL) == before


def test_newer_evidence_without_a_verdict_beats_older_evidence_with_it(promoter, client):
    deliver(client, evidence("staging"))
    deliver(client, without(evidence("staging"), "signature"))
    assert "signature (not run)" in refused(promoter, "staging")


def test_a_verdict_of_another_stage_does_not_stand_in(promoter, client):
    deliver(client, evidence("staging"))
    promoter.promote(VERSION, "staging")
    assert "no gate has been run for it" in refused(promoter, "production")
