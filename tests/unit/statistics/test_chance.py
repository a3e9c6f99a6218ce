"""What chance gives is told as it is: false alarms are rare, and few rows are no excuse for a loud claim."""

import numpy as np
import pytest

from lifecycle.statistics.distances import (
    PermutationNull,
    benjamini_hochberg,
    jensen_shannon,
    jensen_shannon_null,
    share_change_p,
    wasserstein,
    wasserstein_null,
)


def numbers(draw, before, now):
    reference, current = np.sort(draw(before)), np.sort(draw(now))
    distance = wasserstein(reference, current)
    return distance, wasserstein_null(reference, current, distance, seed=0)


def categories(rng, shares, before, now):
    left, right = rng.multinomial(before, shares), rng.multinomial(now, shares)
    distance = float(jensen_shannon(left, right))
    mixed = (left + right)[left + right > 0]
    return distance, jensen_shannon_null(mixed, before, distance, seed=0)[0]


def typical(found):
    return np.sqrt(np.mean(np.square([distance for distance, _ in found])))


def expected(found):
    return np.mean([chance.distance for _, chance in found])


DRAWS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "long tails": lambda rng, n: rng.standard_t(3, size=n),
    "few values": lambda rng, n: rng.integers(0, 3, size=n).astype(float),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "before", "now"),
    [("normal", 40, 40), ("long tails", 500, 500), ("few values", 500, 100), ("normal", 6000, 300)],
)
def test_two_samples_of_the_same_numbers_are_as_far_apart_as_said(rng, kind, before, now):
    found = [numbers(lambda n: DRAWS[kind](rng, n), before, now) for _ in range(80)]
    assert expected(found) == pytest.approx(typical(found), rel=0.25)
    assert np.mean([chance.p < 0.05 for _, chance in found]) < 0.16  # with room for only 80 of them


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "before", "now"), [(2, 40, 40), (20, 40, 40), (20, 6000, 500), (1000, 500, 500)]
)
def test_two_samples_of_the_same_categories_are_as_far_apart_as_said(rng, count, before, now):
    shares = 1 / np.arange(1, count + 1)
    found = [categories(rng, shares / shares.sum(), before, now) for _ in range(80)]
    assert expected(found) == pytest.approx(typical(found), rel=0.25)
    assert np.mean([chance.p < 0.05 for _, chance in found]) < 0.16


def test_a_real_difference_is_hardly_chance_and_its_distance_hardly_less_for_it(rng):
    reference, current = np.sort(rng.normal(size=2000)), np.sort(rng.normal(size=2000) + 0.5)
    distance = wasserstein(reference, current)
    chance = wasserstein_null(reference, current, distance, seed=0)
    assert chance.p < 1e-6
    assert chance.beyond(distance) == pytest.approx(0.5, abs=0.1)


def test_a_distance_within_chance_leaves_nothing():
    assert PermutationNull(0.2, 0.7).beyond(0.15) == 0


def test_two_equal_constants_are_no_surprise_and_two_different_ones_are():
    same = jensen_shannon_null(np.array([400]), 200, 0.0, seed=0)[0]
    assert (same.distance, same.p) == (0, 1)
    apart = jensen_shannon_null(np.array([200, 200]), 200, 0.83, seed=0)[0]
    assert apart.p < 1e-6


def test_categories_that_are_all_different_are_new_by_chance_alone():
    _, unseen = jensen_shannon_null(np.ones(400, dtype=int), 200, 0.83, seed=0)
    assert unseen == 1


def test_the_same_change_of_a_share_is_chance_in_few_rows_and_not_in_many():
    assert share_change_p((2, 20), (5, 20)) > 0.2
    assert share_change_p((200, 2000), (500, 2000)) < 1e-6
    assert share_change_p((0, 10_000_000), (0, 20)) == 1


def test_among_many_columns_the_evidence_has_to_be_stronger():
    assert benjamini_hochberg([0.03], 0.05) == [True]
    assert benjamini_hochberg([0.03] + [0.5] * 19, 0.05) == [False] * 20
    assert benjamini_hochberg([0.03] * 20, 0.05) == [True] * 20
    assert benjamini_hochberg([], 0.05) == []
