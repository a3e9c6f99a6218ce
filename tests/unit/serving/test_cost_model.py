"""What scoring costs is learnt from what it has cost."""

from __future__ import annotations

import random
from time import perf_counter

import pytest

from lifecycle.serving.engines.bounds import Bounds
from lifecycle.serving.engines.cost import CostModel
from lifecycle.serving.settings import Settings


def test_a_line_is_found_again_through_noise_and_outliers():
    chance, cost = random.Random(5), CostModel()
    for _ in range(500):
        rows = chance.choice([1, 1, 1, 10, 100, 1000])
        noise = chance.uniform(0.9, 1.1) * (20 if chance.random() < 0.01 else 1)
        cost.add(rows, (0.002 + 1e-5 * rows) * noise)
    assert cost.fixed_s == pytest.approx(0.002, rel=0.3)
    assert cost.row_s == pytest.approx(1e-5, rel=0.3)
    assert cost.seconds(500) == pytest.approx(0.007, rel=0.3)
    assert cost.rows_within(0.007) == pytest.approx(500, rel=0.3)


def test_many_single_rows_do_not_make_it_forget_the_slope():
    cost = CostModel()
    cost.add(1, 0.001)
    cost.add(1000, 0.1)
    for _ in range(10_000):
        cost.add(1, 0.001)
    assert cost.seconds(1000) == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize(("before", "after"), [(0.001, 1.0), (1.0, 0.001)])
def test_a_model_that_changes_is_followed_although_other_sizes_are_not_seen_again(before, after):
    cost = CostModel()
    cost.add(1, before)
    cost.add(64, 2 * before)
    for _ in range(150):
        cost.add(1 if after > before else 64, after)
    assert cost.seconds(1 if after > before else 64) == pytest.approx(after, rel=0.1)


def test_nothing_is_expected_to_take_less_than_no_time():
    cost = CostModel()
    cost.add(1, 0.5)
    cost.add(100, 0.4)
    assert cost.fixed_s >= 0
    assert cost.row_s >= 0
    assert cost.rows_within(0.1) == 0


def test_before_anything_is_known_nothing_is_expected():
    cost = CostModel()
    assert not cost.known
    assert cost.seconds(10) == 0


def test_a_request_is_hopeless_by_what_was_measured_and_not_by_a_guess_from_one_slow_row():
    bounds = Bounds(CostModel(), Settings(), places=1)
    bounds.measured(1, 0.3)
    now = perf_counter()
    assert not bounds.hopeless(1000, now + 60, now)
    assert bounds.hopeless(1000, now + 0.1, now)
    bounds.measured(500, 150.0)
    assert bounds.hopeless(1000, now + 60, now)


def test_a_slow_single_row_that_makes_larger_batches_forgotten_condemns_none_of_them():
    bounds = Bounds(CostModel(), Settings(), places=1)
    bounds.measured(1000, 0.05)
    bounds.measured(1, 0.4)
    now = perf_counter()
    assert not bounds.hopeless(1000, now + 60, now)
