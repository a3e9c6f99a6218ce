"""A following deployment answers with what its stage holds, and one that fails holds up no other."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from pandas import DataFrame

from lifecycle.domain.model import ModelRef
from lifecycle.errors import Unavailable

STAGE, ALIAS = "models:/flights-delay/Production", "models:/flights-delay@champion"


@pytest.fixture
def failures_at(world, caplog):
    """Runs a round at a second of the clock; returns which deployments were tried and failed."""

    def run(reconciler, second):
        caplog.clear()
        world.now_s = second
        with caplog.at_level(logging.WARNING, "lifecycle.controller"):
            reconciler.step()
        said = [record.getMessage() for record in caplog.records if record.name.startswith("lifecycle.controller")]
        return [message.partition(" ")[0] for message in said if " stays at version " in message]

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


def test_what_is_deleted_while_it_is_updated_does_not_come_back(world, caplog):
    world.promote(1)
    world.create(STAGE)
    world.promote(2)

    def delete_meanwhile(version, snapshot):
        world.memory.undeploy("flights")
        return compile_it(version, snapshot)

    compile_it = world.deployer.compile
    object.__setattr__(world.deployer, "compile", delete_meanwhile)
    reconciler = world.reconciler()
    reconciler.step()
    assert world.memory.list() == []
    assert reconciler.step() == 0
    assert "stays at version" not in caplog.text


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


# Behind the registry's back


@pytest.fixture
def moved(world):
    """A deployment answers with version 1, and somebody has put version 2 in its place."""
    world.promote(1)
    world.create(STAGE)
    reconciler = world.reconciler()
    reconciler.step()
    world.move_behind_the_ledgers_back(1, "Archived")
    world.move_behind_the_ledgers_back(2, "Production")
    return reconciler


def test_what_was_changed_is_logged_once_with_what_mends_it_and_never_served(world, moved, caplog):
    for second in range(100):
        world.now_s = second
        moved.step()
    assert world.serving() == 1
    behind = [m for m in caplog.messages if m.startswith("behind the registry's back")]
    assert len(behind) == 2  # the stage, and the alias that stayed
    assert "Production of flights-delay holds version 2, which no promotion put there" in behind[0]
    assert "Run: lifecycle rollback flights-delay --stage production --to 1 --reason …" in behind[0]
    assert len([m for m in caplog.messages if "stays at version 1" in m]) == 1


def test_once_it_is_put_right_the_next_round_follows_again(world, moved, caplog):
    for second in range(30):
        world.now_s = second
        moved.step()
    with caplog.at_level(logging.INFO, "lifecycle.controller"):
        world.promote(2)
        world.now_s = 30
        moved.step()
    assert world.serving() == 2
    assert any(m.startswith("put right: Production of flights-delay holds") for m in caplog.messages)


def test_an_alias_that_alone_was_changed_is_logged_and_changes_nothing(world, caplog):
    world.promote(1)
    world.create(ALIAS)
    reconciler = world.reconciler()
    reconciler.step()
    world.point_behind_the_ledgers_back("champion", 2)
    reconciler.step()
    assert world.serving() == 1
    assert "alias champion of flights-delay points to version 2, and version 1 holds Production" in caplog.text


def test_the_registry_is_asked_once_a_round_and_model_whatever_follows_it(world, asked):
    world.promote(1)
    for name in ("one", "two", "three"):
        world.create(STAGE, name=name)
    world.create(ALIAS, name="four")
    reconciler = world.reconciler()
    asked.clear()
    for second in range(50):
        world.now_s = second
        reconciler.step()
    assert asked.count("etag") == 50
    assert asked.count("state") == asked.count("verify") == 1
    assert set(asked) == {"etag", "state", "verify"}


def test_what_a_glance_does_not_see_is_seen_within_a_minute(world, asked):
    world.promote(1)
    world.create(STAGE)
    reconciler = world.reconciler()
    reconciler.step()
    asked.clear()
    for second in range(1, 62):
        world.now_s = second
        reconciler.step()
    assert asked.count("state") == 1


def test_a_registry_that_is_away_is_asked_less_and_less_often_for_all_models_together(
    world, two_models, asked, monkeypatch, caplog
):
    def away(model):
        asked.append("away")
        raise Unavailable("no MLflow server answers")

    reconciler = world.reconciler()
    with monkeypatch.context() as patch:
        patch.setattr(world.registry, "etag", away)
        tries = []
        for second in range(200):
            world.now_s, before = second, len(asked)
            reconciler.step()
            if len(asked) > before:
                tries.append(second)
    assert asked.count("away") == len(tries)
    assert [later - sooner for sooner, later in pairwise(tries)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(caplog.messages) == 2  # one line for each of the deployments
    world.now_s = 300
    reconciler.step()
    assert (world.serving("broken"), world.serving("sound")) == (2, 2)


def test_an_override_that_ends_is_noticed_without_another_look(world, asked, caplog, monkeypatch):
    world.registry.may_override = True
    world.promoter.override(ModelRef("flights-delay", version=1), "production", "INC-1", timedelta(hours=1))
    world.create(STAGE)
    reconciler = world.reconciler()
    reconciler.step()
    assert caplog.messages == []
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(reconciler._view, "promoter", replace(world.promoter, clock=lambda: later))
    asked.clear()
    reconciler.step()
    assert "state" not in asked
    assert "the override that put version 1 of flights-delay into Production has ended" in caplog.text
    assert world.serving() == 1


@pytest.fixture
def asked(world, monkeypatch):
    """The names of the questions that the registry is asked, as they come."""
    questions, open_ones = [], []

    def noting(name, method):
        def noted(*args):
            if not open_ones:  # one that a question asks itself is no other question
                questions.append(name)
            open_ones.append(name)
            try:
                return method(*args)
            finally:
                open_ones.pop()

        return noted

    for name in ("get", "versions", "history", "state", "etag", "verify"):
        monkeypatch.setattr(world.registry, name, noting(name, getattr(world.registry, name)))
    return questions


def test_a_stage_that_is_an_alias_alone_is_followed_as_the_others_are(world):
    world.promote(1, to="challenger")
    world.create("models:/flights-delay@challenger")
    assert world.serving() == 1
    world.promote(2, to="challenger")
    world.reconciler().step()
    assert world.serving() == 2
    world.point_behind_the_ledgers_back("challenger", 1)
    world.reconciler().step()
    assert world.serving() == 2


def test_a_pinned_version_is_deployed_from_a_stage_that_is_an_alias_alone(world):
    world.promote(1, to="challenger")
    world.create("models:/flights-delay/1", stage="challenger")
    assert world.serving() == 1
