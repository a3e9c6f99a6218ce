"""A release gates and promotes stage by stage, and stops where the first gate does not pass."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.errors import CheckBroke, Inconclusive, NotFound, PromotionRefused
from lifecycle.gates.run import Progress, run_here
from lifecycle.promotion.gate_runner import GateRunner
from lifecycle.promotion.promoter import Promoter, release
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.loader import load_scorer

SIGNATURE = GateSpec("signature")
NO_ROWS = GateSpec("performance", {"metric": "roc_auc", "min": 0.5})
"""INCONCLUSIVE here: nothing was tracked, so there are no rows to measure on."""

STAGING = StagePolicy("staging", "Staging", (SIGNATURE,))
PRODUCTION = StagePolicy("production", "Production", (SIGNATURE,), alias="champion", after="staging")
FIRST = ModelRef("flights-delay", version=1)


def _run(job, progress):
    return run_here(job, progress, load_scorer)


def _now():
    return datetime.now(UTC)


class Setting:
    def __init__(self, folder, *stages):
        self.policies = PolicyBook(ModelPolicy(stages))
        self.registry = MemoryRegistry(SnapshotStore(folder / "snapshots"), self.policies, _now)
        self.promoter = Promoter(self.registry, self.policies, lambda _: None, "ada", _now)
        self.ran: list[str] = []

    def release(self, ref=FIRST, stage="production", current=None):
        progress = Progress(on_start=self.ran.append)
        gate_runner = GateRunner(self.registry, self.policies, _run, _now, "ada", progress)
        release(gate_runner, self.promoter, ref, stage, current)

    @property
    def moves(self):
        return [(e.stage, e.version) for e in self.registry.history("flights-delay") if e.moved]


@pytest.fixture
def setting(lifecycle_models, tmp_path):
    """Makes a registry with these stages and one version, changed before it is registered."""

    def make(*stages, change=lambda _: None):
        files = shutil.copytree(lifecycle_models[0].snapshot.path, tmp_path / "files")
        for path in files.rglob("*"):
            path.chmod(0o700)
        change(files)
        setting = Setting(tmp_path, *stages)
        setting.registry.add("flights-delay", files)
        return setting

    return make


def drop_the_example(folder):
    mlmodel = yaml.safe_load((folder / "MLmodel").read_text())
    del mlmodel["saved_input_example_info"]
    (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))


def ruin_the_weights(folder):
    (folder / "model.pkl").write_bytes(b"not a pickle")


def test_a_version_passes_every_stage_on_the_way(setting):
    made = setting(STAGING, PRODUCTION)
    made.release()
    assert made.moves == [("staging", 1), ("production", 1)]
    assert made.ran == ["signature", "signature"]
    assert all(e.evidence_id and e.reason for e in made.registry.history("flights-delay"))


def test_it_goes_no_further_than_asked(setting):
    made = setting(STAGING, PRODUCTION)
    made.release(stage="staging")
    assert made.moves == [("staging", 1)]


def test_a_stage_that_was_passed_before_is_not_repeated(setting):
    made = setting(STAGING, PRODUCTION)
    made.release(stage="staging")
    made.release()
    assert made.moves == [("staging", 1), ("production", 1)]
    assert made.ran == ["signature", "signature"]


def test_doing_it_again_moves_nothing(setting):
    made = setting(STAGING, PRODUCTION)
    made.release()
    made.release()
    assert made.moves == [("staging", 1), ("production", 1)]


def test_what_a_stage_holds_can_be_released_by_the_stages_name(setting):
    made = setting(STAGING, PRODUCTION)
    made.release(stage="staging")
    made.release(ModelRef("flights-delay", stage="Staging"))
    assert made.moves == [("staging", 1), ("production", 1)]


@pytest.mark.parametrize(
    ("change", "gates", "error", "said"),
    [
        (drop_the_example, (SIGNATURE,), PromotionRefused, "signature FAILED: The model has no input example"),
        (lambda _: None, (SIGNATURE, NO_ROWS), Inconclusive, "performance INCONCLUSIVE"),
        (ruin_the_weights, (SIGNATURE,), CheckBroke, "signature ERROR"),
        (drop_the_example, (SIGNATURE, NO_ROWS), PromotionRefused, "signature FAILED.*performance INCONCLUSIVE"),
    ],
    ids=["failed", "inconclusive", "broke", "the worst counts"],
)
def test_a_gate_that_does_not_pass_stops_it_and_says_why(setting, change, gates, error, said):
    made = setting(replace(STAGING, gates=gates), PRODUCTION, change=change)
    with pytest.raises(error, match=said) as caught:
        made.release()
    assert made.moves == []
    assert "\n" not in str(caught.value)
    assert type(caught.value) is error


def test_a_version_stays_where_it_got_to(setting):
    made = setting(STAGING, replace(PRODUCTION, gates=(SIGNATURE, NO_ROWS)))
    with pytest.raises(Inconclusive, match="may not go to production"):
        made.release()
    assert made.moves == [("staging", 1)]


@pytest.mark.parametrize(
    ("ref", "stage", "current"),
    [
        (ModelRef("flights-delay", version=9), "production", None),
        (FIRST, "prodcution", None),
        (FIRST, "production", "nowhere.parquet"),
    ],
)
def test_unknown_names_are_found_out_before_anything_moves(setting, ref, stage, current):
    made = setting(STAGING, PRODUCTION)
    with pytest.raises(NotFound):
        made.release(ref, stage, current)
    assert made.moves == []
