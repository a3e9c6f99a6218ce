"""The distances are scipy's, however the samples are made."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from lifecycle.statistics.distances import jensen_shannon, wasserstein

values = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=60)


@settings(deadline=None, max_examples=300)
@given(left=values, right=values)
def test_the_wasserstein_distance_is_scipys_for_any_two_samples(left, right):
    got = wasserstein(np.sort(left), np.sort(right))
    assert got == pytest.approx(wasserstein_distance(left, right), rel=1e-9, abs=1e-6)


def test_the_wasserstein_distance_of_very_unequal_sizes_is_scipys(rng):
    few, many = np.sort(rng.normal(size=777)), np.sort(rng.standard_t(2, size=300_001))
    assert wasserstein(few, many) == pytest.approx(wasserstein_distance(few, many), abs=1e-9)
    assert wasserstein(many, few) == wasserstein(few, many)


def test_the_jensen_shannon_distance_is_scipys_and_0_for_equal_shares(rng):
    left, right = rng.integers(0, 50, (2, 30))
    assert jensen_shannon(left, right) == pytest.approx(jensenshannon(left, right))
    assert jensen_shannon(left, 7 * left) == pytest.approx(0, abs=1e-9)
    assert jensen_shannon(np.array([5, 0]), np.array([0, 9])) == pytest.approx(math.sqrt(math.log(2)))
