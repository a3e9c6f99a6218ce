"""Only what a promotion put into its stage is deployed, and with exactly the files that were promoted."""

from __future__ import annotations

import numpy as np
import pytest
from pandas import DataFrame

from lifecycle.domain.deployment import Status
from lifecycle.errors import Conflict, IntegrityError, NotFound, NotPromoted, OptionError, UsageError

FIRST, SECOND = "models:/flights-delay/1", "models:/flights-delay/2"
STAGE, ALIAS = "models:/flights-delay/Production", "models:/flights-delay@champion"


@pytest.mark.parametrize("uri", [FIRST, STAGE, ALIAS])
def test_what_is_promoted_is_deployed_however_it_is_named(world, lifecycle_models, uri):
    world.promote(1)
    deployment = world.create(uri)
    model = lifecycle_models[0]
    assert (deployment.version, deployment.digest) == (1, model.snapshot.digest)
    assert deployment.status is Status.READY
    assert str(deployment.ref) == uri
    assert np.allclose(world.memory.predict("flights", model.rows), model.expected)


def test_a_version_that_is_not_promoted_is_refused_with_the_commands_to_run(world):
    with pytest.raises(NotPromoted, match=rf"lifecycle gate run {FIRST} --stage production.*lifecycle promote"):
        world.create(FIRST)
    assert world.memory.list() == []


def test_a_version_in_staging_is_not_in_production(world):
    world.promote(1, to="staging")
    with pytest.raises(NotPromoted, match=r"in stage Staging\) is not promoted to Production"):
        world.create(FIRST)
    assert world.create(FIRST, stage="staging").version == 1


@pytest.mark.parametrize("uri", [STAGE, ALIAS])
def test_nothing_in_the_stage_is_not_found(world, uri):
    with pytest.raises(NotFound):
        world.create(uri)
    assert world.memory.list() == []


def test_an_alias_that_no_stage_guards_is_refused_and_the_guarded_ones_are_listed(world):
    with pytest.raises(NotPromoted, match="Guarded aliases: champion, challenger"):
        world.create("models:/flights-delay@shadow")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("models:/flihgts-delay/1", "did you mean 'flights-delay'"),
        ("models:/flights-delay/9", r"Versions of flights-delay: 1 \(None\), 2 \(None\)"),
        ("models:/flights-delay/Prodction", "did you mean 'production'"),
    ],
)
def test_unknown_names_list_the_known_ones(world, uri, said):
    with pytest.raises(NotFound, match=said):
        world.create(uri)


def test_a_name_is_given_once(world):
    world.promote(1)
    world.create(STAGE)
    with pytest.raises(Conflict, match="use update, or delete it first"):
        world.create(FIRST)
    assert str(world.memory.describe("flights").ref) == STAGE


def test_what_does_not_exist_is_not_updated(world):
    world.promote(1)
    with pytest.raises(NotFound, match="unknown deployment 'flights'"):
        world.update(STAGE)
    assert world.memory.list() == []


def test_an_update_takes_another_version_under_the_same_name(world):
    world.promote(1)
    world.create(FIRST)
    world.promote(2)
    assert world.update(SECOND).version == 2
    assert world.serving() == 2


def test_a_refused_update_leaves_the_old_version_answering(world):
    world.promote(1)
    world.create(FIRST)
    with pytest.raises(NotPromoted):
        world.update(SECOND)
    assert world.serving() == 1


def test_an_update_keeps_the_options_that_it_does_not_give(world, lifecycle_models, tmp_path):
    world.promote(1)
    rows = tmp_path / "rows.parquet"
    DataFrame(dict(lifecycle_models[0].rows)).to_parquet(rows)
    options = {"input": str(rows), "output": str(tmp_path / "first")}
    world.create(FIRST, target="batch", **options)
    world.promote(2)
    updated = world.update(SECOND, target="batch", output=str(tmp_path / "second"))
    assert dict(updated.options) == options | {"output": str(tmp_path / "second")}
    assert updated.version == 2


def test_options_of_ours_never_reach_the_target(world):
    world.create(FIRST, promote="true", current="july.parquet", stage="production")
    assert world.released == [(FIRST, "production", "july.parquet")]
    assert world.serving() == 1


def test_nothing_is_released_unless_asked_for(world):
    world.promote(1)
    world.create(FIRST, promote="no")
    assert world.released == []


def test_an_unusable_name_or_option_of_ours_is_refused_before_anything_is_promoted(world):
    with pytest.raises(UsageError, match="deployment name"):
        world.create(FIRST, name="../flights", promote="true")
    with pytest.raises(OptionError, match="promote"):
        world.create(FIRST, promote="perhaps")
    assert world.released == []


def test_an_unknown_option_of_the_target_is_refused_before_anything_is_promoted(world):
    with pytest.raises(OptionError, match="unknown option 'prot'"):
        world.create(FIRST, promote="true", prot="8080")
    assert world.released == []


def test_a_name_in_use_is_refused_before_anything_is_promoted(world):
    world.promote(1)
    world.create(FIRST)
    with pytest.raises(Conflict):
        world.create(SECOND, promote="true")
    assert world.released == []


@pytest.mark.parametrize("uri", [SECOND, STAGE])
def test_what_was_moved_behind_the_ledgers_back_is_never_deployed(world, uri):
    world.move_behind_the_ledgers_back(2, "Production")
    with pytest.raises(NotPromoted, match="which no promotion put there"):
        world.create(uri)
    assert world.memory.list() == []


def test_of_several_versions_in_a_stage_only_the_promoted_one_is_deployed(world):
    world.promote(2)
    world.move_behind_the_ledgers_back(1, "Production")
    assert world.create(STAGE).version == 2
    with pytest.raises(NotPromoted):
        world.create(FIRST, name="pinned")
    assert [d.name for d in world.memory.list()] == ["flights"]


def test_files_that_changed_since_the_promotion_are_not_deployed(world, lifecycle_models):
    world.promote(1)
    world.change_a_byte(lifecycle_models[0].snapshot.digest)
    with pytest.raises(IntegrityError, match="was changed in the snapshot"):
        world.create(FIRST)
    assert world.memory.list() == []
