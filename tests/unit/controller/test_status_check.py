"""What ``lifecycle status`` compares: what is deployed here, then the rest, and nothing where nobody answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifecycle.controller.status_check import check_status
from lifecycle.errors import IntegrityError, NotTrusted, Unavailable

STAGE = "models:/flights-delay/Production"


def found(world):
    return [(one.model, one.what) for one in check_status(world.promoter, world.memory.list()).findings]


def test_where_everything_is_in_order_nothing_is_found(world):
    world.promote(1)
    world.create(STAGE)
    status = check_status(world.promoter, world.memory.list())
    assert (status.models, list(status.findings), status.unavailable) == (2, [], "")


def test_models_without_a_deployment_are_compared_too(world):
    world.move_behind_the_ledgers_back(2, "Production")
    assert found(world) == [("flights-delay", "unpromoted"), ("flights-delay", "alias")]


def test_what_is_deployed_is_compared_though_it_is_none_of_the_hundred(world, monkeypatch):
    world.promote(1)
    world.create(STAGE)
    world.move_behind_the_ledgers_back(2, "Production")
    monkeypatch.setattr(world.registry, "models", lambda: ())
    assert {what for _, what in found(world)} == {"several", "unpromoted", "alias"}


def test_what_a_second_look_does_not_confirm_was_a_promotion_under_way(world, monkeypatch):
    world.promote(1)
    ask, asked = world.registry.state, []

    def in_between(model):
        asked.append(model)
        state = ask(model)
        return replace(state, history=()) if len(asked) == 1 else state

    monkeypatch.setattr(world.registry, "state", in_between)
    assert found(world) == []
    assert len(asked) == 3


@pytest.mark.parametrize("question", ["models", "state", "verify"])
def test_a_registry_that_does_not_answer_is_no_finding_and_no_clean_bill(world, monkeypatch, question):
    world.promote(1)
    world.create(STAGE)

    def away(*_):
        raise Unavailable("no MLflow server answers")

    monkeypatch.setattr(world.registry, question, away)
    status = check_status(world.promoter, world.memory.list())
    assert (status.models, list(status.findings)) == (0, [])
    assert status.unavailable == "no MLflow server answers"


def test_a_history_that_is_none_is_found(world, monkeypatch):
    def broken(model):
        raise IntegrityError("the tag lifecycle.history does not hold a history")

    monkeypatch.setattr(world.registry, "state", broken)
    assert set(found(world)) == {("flights-delay", "history"), ("neighbour", "history")}


def test_whose_key_counts_matters_for_what_is_deployed_here(world, monkeypatch):
    for model in ("flights-delay", "neighbour"):
        world.promote(1, model=model)
    world.create(STAGE)

    def unknown(version, move):
        raise NotTrusted("it does not count here: a key that nobody knows. See: lifecycle keys trust")

    monkeypatch.setattr(world.registry, "verify", unknown)
    (one,) = check_status(world.promoter, world.memory.list()).findings
    assert (one.model, one.what) == ("flights-delay", "unproven")
    assert (one.message, one.mend) == (
        "it does not count here: a key that nobody knows",
        "See: lifecycle keys trust",
    )


def test_a_deployment_from_another_registry_is_left_alone(world):
    world.promote(1)
    world.create(STAGE)
    strangers = [replace(d, ref=replace(d.ref, name="of-another-registry")) for d in world.memory.list()]
    assert check_status(world.promoter, strangers).findings == []
