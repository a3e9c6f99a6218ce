"""Intervals hold what they promise, and corrections are the published ones."""

import numpy as np
import pytest

from lifecycle.statistics.distances import holm
from lifecycle.statistics.intervals import confidence_interval, of_auc, of_mean, one_sided_p


def test_an_interval_of_a_mean_is_the_textbooks(rng):
    values = rng.normal(size=400)
    low, high = confidence_interval(values.mean(), of_mean(values), 0.95, (-9.0, 9.0))
    half = 1.959964 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_an_interval_is_cut_where_the_metric_ends(rng):
    positive = np.arange(40) >= 20
    influence = of_auc(positive, positive + rng.normal(scale=2.0, size=40))
    assert confidence_interval(0.99, influence, 0.95, (0.0, 1.0))[1] == 1.0


def test_what_is_no_loss_is_no_evidence_and_few_rows_are_never_certain(rng):
    influence = of_mean(rng.normal(size=400))
    assert one_sided_p(-0.1, influence, 400) == 1.0
    assert one_sided_p(0.5, influence, 400) < 1e-6
    assert one_sided_p(1.0, np.zeros(4), 4) > 0.02


def test_holm_rejects_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([0.02, 0.02], 0.05) == [True, True]
    assert holm([0.03, 0.03], 0.05) == [False, False]
    assert holm([], 0.05) == []
