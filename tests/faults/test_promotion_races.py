"""Several processes promote at once: one wins, the others are told who."""

from __future__ import annotations

import random
import re

import pytest

from tests.faults.wine import VERSIONS
from tests.proof import rounds, some

SEED = 20261121
PROCESSES = 4
TWICE = rounds(200, 10)


@pytest.mark.slow
@pytest.mark.parametrize(("at_once", "times"), some([(2, TWICE), (3, rounds(50, 5))], (2, TWICE)))
def test_of_several_that_saw_the_same_one_wins_every_round(wine, promoters, at_once, times):
    processes = promoters(wine, PROCESSES)
    chance, before, holder = random.Random(SEED), len(wine.ledger()), 1
    for number in range(times):
        racing = chance.sample(processes, at_once)
        versions = chance.sample([v for v in VERSIONS if v != holder], at_once)
        for process, version in zip(racing, versions, strict=True):
            process.order(wine, version, expected=holder)
        answers = dict(zip(versions, [process.answer() for process in racing], strict=True))
        winners = [version for version, answer in answers.items() if answer["error"] is None]
        assert winners == [wine.check_whole()], f"seed {SEED}, round {number}: {answers}"
        for version in set(versions) - set(winners):
            assert answers[version]["error"] == "Conflict", answers
            assert re.match(
                f"version {winners[0]} holds Production of wine now, where version {holder} was expected",
                answers[version]["said"],
            )
        holder = winners[0]
    assert len(wine.ledger()) == before + times
