"""Taking any single verdict out of the evidence makes the promotion refuse, whichever way it arrives."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.assembly import load_settings
from lifecycle.domain.ledger import Action
from lifecycle.domain.model import ModelRef
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.errors import PromotionRefused
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.location import Location
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore, digest_of
from lifecycle.registry.tags import EVIDENCE
from lifecycle.signing.local_key import own_key, trust_store

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
    files = database.with_name("files")
    files.mkdir()
    (files / "MLmodel").write_text("flavors: {}")
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, files.as_uri(), await_creation_for=None)
    return database


class Laptop:
    """A registry with the guard in the client's own process, which trusts the laptop's own key."""

    def __init__(self, database, home, digest):
        uri = f"sqlite:///{database}"
        location = Location(uri, f"lifecycle+{uri}")
        trust = trust_store(home, {})
        self.digest = digest
        self.signer = EvidenceSigner(lambda: own_key(home, {}, trust, _now()), trust)
        self.client = MlflowClient(location.tracking_uri, location.registry_uri)
        self.registry = MlflowRegistry(location, SnapshotStore(home / "snapshots"), POLICIES, _now, self.signer)
        self.promoter = Promoter(self.registry, POLICIES, lambda _: None, "ada", _now)

    def evidence(self, stage):
        """Every gate of the stage PASSED."""
        policy, now = STAGES[stage], _now()
        verdicts = (Verdict(gate.name, Outcome.PASSED, f"{gate.name}.ok", "fine") for gate in policy.gates)
        return Evidence(
            model=MODEL,
            version=1,
            stage=stage,
            digest=self.digest,
            policy_digest=policy.digest,
            verdicts=tuple(verdicts),
            created_at=now,
            expires_at=now + timedelta(days=1),
        )

    def write(self, stage, text):
        """As any MLflow client can."""
        self.client.set_model_version_tag(MODEL, "1", EVIDENCE + stage, text)

    def deliver(self, record):
        self.write(record.stage, self.signer.sign_evidence(record))

    def reach(self, stage):
        """Everything that comes before the stage, with whole evidence; returns the versions as they are then."""
        for earlier in POLICIES.of(MODEL).path_to(stage)[:-1]:
            self.deliver(self.evidence(earlier.name))
            self.promoter.promote(VERSION, earlier.name)
        return self.registry.versions(MODEL)

    def refused(self, stage):
        with pytest.raises(PromotionRefused) as caught:
            self.promoter.promote(VERSION, stage)
        return str(caught.value)


@pytest.fixture
def laptop(prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(PROJECT / "lifecycle.yaml"))
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path))
    database = shutil.copy(prepared, tmp_path / "mlflow.db")
    return Laptop(database, tmp_path, digest_of(prepared.with_name("files")))


def _now():
    return datetime.now(UTC)


def without(whole: Evidence, gate: str) -> Evidence:
    return replace(whole, verdicts=tuple(v for v in whole.verdicts if v.gate != gate))


def spoiled(whole: Evidence, gate: str, outcome: Outcome) -> Evidence:
    verdicts = (replace(v, outcome=outcome) if v.gate == gate else v for v in whole.verdicts)
    return replace(whole, verdicts=tuple(verdicts))


def test_the_story_demands_ten_verdicts():
    assert len(DEMANDS) == 10


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_without_one_verdict_the_promotion_is_refused_and_with_it_allowed(laptop, stage, gate):
    before, registry = laptop.reach(stage), laptop.registry
    registry.publish(without(laptop.evidence(stage), gate), {})
    said = laptop.refused(stage)
    assert f"{gate} (not run)" in said
    assert f"lifecycle gate run models:/{MODEL}/1 --stage {stage}" in said
    assert registry.versions(MODEL) == before
    last = registry.history(MODEL)[-1]
    assert (last.action, last.stage, last.detail) == (Action.REFUSED, stage, said)
    registry.publish(laptop.evidence(stage), {})
    assert laptop.promoter.promote(VERSION, stage).action is Action.PROMOTED
    assert registry.get(ModelRef(MODEL, stage=stage)).version == 1


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_a_tag_written_by_a_plain_client_gets_no_further(laptop, stage, gate):
    before = laptop.reach(stage)
    laptop.deliver(without(laptop.evidence(stage), gate))
    assert f"{gate} (not run)" in laptop.refused(stage)
    assert laptop.registry.versions(MODEL) == before


@pytest.mark.parametrize(("stage", "gate"), DEMANDS)
def test_nothing_but_passed_will_do(laptop, stage, gate):
    before = laptop.reach(stage)
    for outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR):
        laptop.deliver(spoiled(laptop.evidence(stage), gate, outcome))
        assert f"{gate} ({outcome})" in laptop.refused(stage)
    assert laptop.registry.versions(MODEL) == before


@pytest.mark.parametrize("stage", STAGES)
def test_whole_evidence_that_nobody_signed_gets_nowhere(laptop, stage):
    laptop.reach(stage)
    with pytest.raises(MlflowException) as caught:
        laptop.write(stage, laptop.evidence(stage).to_json())
    assert caught.value.error_code == "PERMISSION_DENIED"
    assert "no gate has been run for it" in laptop.refused(stage)


def test_newer_evidence_without_a_verdict_beats_older_evidence_with_it(laptop):
    laptop.deliver(laptop.evidence("staging"))
    laptop.deliver(without(laptop.evidence("staging"), "signature"))
    assert "signature (not run)" in laptop.refused("staging")


def test_a_verdict_of_another_stage_does_not_stand_in(laptop):
    laptop.deliver(laptop.evidence("staging"))
    laptop.promoter.promote(VERSION, "staging")
    assert "no gate has been run for it" in laptop.refused("production")
