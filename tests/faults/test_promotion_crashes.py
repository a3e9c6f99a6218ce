"""Struck down at any moment, a promotion has happened or it has not; asked again, it ends where it was to end."""

from __future__ import annotations

import random
import signal

import pytest

from lifecycle.domain.promotion.request import PromotionRequest
from tests.faults.promoting import POINTS, USUAL_POINTS
from tests.proof import FULL, rounds, some

SEED = 20261121
REPEATS = rounds(3, 1)
KILLS = rounds(5, 1)
DONE = {"stages": [(1, "Archived"), (2, "Production"), (3, "None"), (4, "None")], "aliases": [("champion", 2)]}


@pytest.mark.slow
@pytest.mark.parametrize("blow", some(["SIGKILL", "SIGTERM", "exception"], "SIGKILL"))
def test_struck_at_each_point_it_has_happened_or_not_and_is_repeated(wine, promoters, blow):
    (promoter,) = promoters(wine)
    points = POINTS if FULL else USUAL_POINTS
    for point, repeat in ((point, repeat) for point in points for repeat in range(REPEATS)):
        before, where = wine.state(), f"{point}, repeat {repeat}"
        promoter.order(wine, 2, key=where, point=point, blow=blow)
        answer = promoter.answer()
        if blow == "exception":
            assert (answer["happened"], answer["error"]) == (True, "Unavailable"), where
            assert "\n" not in answer["said"]
        else:
            assert answer == {"signal": getattr(signal, blow)}, where
        if point == "just after commit":
            check_done(wine, before)
        else:
            assert wine.state() == before, where
            assert wine.check_whole() == 1
        promoter.order(wine, 2, key=where, blow="nothing")
        assert promoter.answer() == {"error": None, "happened": True}, where
        check_done(wine, before)
        wine.restore()


@pytest.mark.slow
def test_killed_at_any_moment_a_promotion_has_happened_or_not(wine, promoters):
    chance = random.Random(SEED)
    for kill in range(KILLS):
        (promoter,) = promoters(wine)
        promoter.promote_without_end(wine)
        assert promoter.heard() == "under way\n"
        promoter.process.join(chance.uniform(0.1, 0.6))
        assert promoter.process.is_alive()
        promoter.process.kill()
        promoter.process.join()
        assert wine.check_whole() in (3, 4), f"seed {SEED}, kill {kill}"
        wine.registry().promote(PromotionRequest("wine", 1, "production"))
        assert wine.check_whole() == 1
    assert len(wine.ledger()) > 3 * KILLS


def check_done(wine, before):
    """Version 2 is in Production, once, and one entry says so."""
    assert wine.check_whole() == 2
    state = wine.state()
    assert {name: state[name] for name in DONE} == DONE
    assert state["ledger"][:-1] == before["ledger"]
    assert state["evidence"] == before["evidence"]
