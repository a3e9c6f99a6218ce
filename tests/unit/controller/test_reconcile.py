"""A following deployment answers with what its stage holds, and one that fails holds up no other."""

from __future__ import annotations

import logging
from itertools import pairwise

import numpy as np
import pytest
from pandas import DataFrame

STAGE, ALIAS = "models:/flights-delay/Production", "models:/flights-delay@champion"


@pytest.fixture
def failures_at(world, caplog):
    """Runs a round at a second of the clock; returns which deployments were tried and failed."""

    def run(reconciler, second):
        caplog.clear()
        world.now_s = second
        with caplog.at_level(logging.WARNING, "lifecycle.controller"):
            reconciler.step()
        return [message.partition(" ")[0] for message in caplog.messages]

    return run


@pytest.fixture
def two_models(world):
    """``broken`` and ``sound`` follow models of their own, which both have just moved on to version 2."""
    for name, model in (("broken", "flights-delay"), ("sound", "neighbour")):
        world.promote(1, model=model)
        world.create(f"models:/{model}/Production", name=name)
    for model in ("flights-delay", "neighbour"):
        world.promote(2, model=model)


@pytest.mark.parametrize("uri", [STAGE, ALIAS])
def test_a_following_deployment_switches_after_a_promotion_and_after_a_rollback(world, lifecycle_models, uri):
    world.promote(1)
    world.create(uri)
    reconciler = world.reconciler()
    for move, version in ((lambda: world.promote(2), 2), (lambda: world.promoter.rollback("flights-delay"), 1)):
        move()
        assert reconciler.step() == 1
        assert world.serving() == version
        model = lifecycle_models[version - 1]
        assert np.allclose(world.memory.predict("flights", model.rows), model.expected)


def test_a_pinned_deployment_stays(world):
    world.promote(1)
    world.create("models:/flights-delay/1")
    world.promote(2)
    assert world.reconciler().step() == 0
    assert world.serving() == 1


def test_where_nothing_differs_nothing_is_done(world, caplog):
    world.promote(1)
    world.create(STAGE)
    with caplog.at_level(logging.INFO, "lifecycle.controller"):
        world.reconciler().step()
    assert caplog.messages == []


def test_moves_that_were_missed_cost_nothing(world):
    world.promote(1)
    world.create(STAGE)
    world.promote(2)
    world.promoter.rollback("flights-delay")
    world.promoter.rollback("flights-delay", to=2)
    world.reconciler().step()
    assert world.serving() == 2


def test_a_version_moved_behind_the_ledgers_back_is_not_followed(world, caplog):
    world.promote(1)
    world.create(STAGE)
    world.move_behind_the_ledgers_back(1, "Archived")
    world.move_behind_the_ledgers_back(2, "Production")
    world.reconciler().step()
    assert world.serving() == 1
    assert "which no promotion put there" in caplog.text


def test_a_stage_that_is_empty_leaves_the_old_version_answering(world, caplog):
    world.promote(1)
    world.create(STAGE)
    world.move_behind_the_ledgers_back(1, "Archived")
    assert world.reconciler().step() == 1
    assert world.serving() == 1
    assert "stays at version 1" in caplog.text


def test_a_version_with_the_same_files_is_followed_too(world, lifecycle_models):
    world.promote(1)
    world.create(STAGE)
    copy = world.registry.add("flights-delay", lifecycle_models[0].snapshot.path).version
    world.promote(copy)
    world.reconciler().step()
    assert world.serving() == copy


def test_a_failing_deployment_backs_off_and_recovers(world, two_models, lifecycle_models, failures_at):
    repair = world.change_a_byte(lifecycle_models[1].snapshot.digest)
    reconciler = world.reconciler()
    assert failures_at(reconciler, 0) == ["broken", "sound"]
    repair()
    assert failures_at(reconciler, 0.9) == []
    assert world.serving("broken") == 1
    assert failures_at(reconciler, 1) == []
    assert (world.serving("broken"), world.serving("sound")) == (2, 2)


def test_the_waits_grow_up_to_a_minute(world, lifecycle_models, failures_at):
    world.promote(1)
    world.create(STAGE)
    world.promote(2)
    world.change_a_byte(lifecycle_models[1].snapshot.digest)
    reconciler = world.reconciler()
    tried = [second for second in range(200) if failures_at(reconciler, second)]
    assert [later - sooner for sooner, later in pairwise(tried)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_deployment_that_fails_holds_up_no_other(world, two_models, failures_at):
    world.move_behind_the_ledgers_back(1, "Production")
    world.move_behind_the_ledgers_back(2, "Archived")
    assert failures_at(world.reconciler(), 0) == ["broken"]
    assert (world.serving("broken"), world.serving("sound")) == (1, 2)


def test_whatever_it_fails_with(world, two_models, lifecycle_models, failures_at):
    """Not every error is one of ours: here the disk is full."""
    world.disk_full_for.add(lifecycle_models[1].snapshot.digest)
    reconciler = world.reconciler()
    assert failures_at(reconciler, 0) == ["broken", "sound"]
    assert (world.serving("broken"), world.serving("sound")) == (1, 1)
    world.disk_full_for.clear()
    assert failures_at(reconciler, 1) == []
    assert (world.serving("broken"), world.serving("sound")) == (2, 2)


def test_finished_work_is_not_repeated(world, lifecycle_models, tmp_path):
    world.promote(1)
    rows = tmp_path / "rows.parquet"
    DataFrame(dict(lifecycle_models[0].rows)).to_parquet(rows)
    world.create(STAGE, target="batch", input=str(rows), output=str(tmp_path / "scored"))
    world.promote(2)
    assert world.reconciler().step() == 0
    assert world.batch.describe("flights").version == 1
