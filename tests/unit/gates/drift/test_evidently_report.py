"""Evidently's own report: as it is, but with nothing in it that a browser would run."""

import re

import numpy as np
import pandas as pd
import pytest

from lifecycle.gates.drift.columns import measure
from lifecycle.gates.drift.report import evidently_report

pytestmark = pytest.mark.slow

EVIL = "</script><script>alert('planted')</script>"
RNG = np.random.default_rng(0)
N = 600


def test_names_of_columns_and_categories_are_made_harmless():
    rows = pd.DataFrame({EVIL: RNG.normal(size=N), "t": RNG.choice([EVIL, "<img onerror=alert(1)>", "a"], size=N)})
    html = evidently_report(rows, rows, list(rows.columns), 0.1, 0.3)
    assert "alert('planted')" not in html
    assert "alert(1)" not in html
    assert "_script__script_alert_" in html


def test_columns_whose_harmless_names_are_the_same_are_both_there():
    rows = pd.DataFrame({"a<b": RNG.normal(size=N), "a>b": RNG.normal(size=N)})
    html = evidently_report(rows, rows, list(rows.columns), 0.1, 0.3)
    assert "a_b (1)" in html


def test_it_takes_every_kind_of_column_that_the_gate_compares():
    rows = pd.DataFrame(
        {
            "number": RNG.normal(size=N),
            "with infinity": np.append(RNG.normal(size=N - 1), np.inf),
            "whole": pd.array([*range(N - 1), None], dtype="Int64"),
            "text": RNG.choice(["a", None], size=N),
            "category": pd.Categorical(RNG.choice(["a", "b"], size=N)),
            "boolean": RNG.random(N) < 0.5,
            "boolean with gaps": pd.array([True, None] * (N // 2)),
            "moment": pd.date_range("2013-01-01", periods=N),
            "zoned": pd.date_range("2013-01-01", periods=N, tz="Asia/Tokyo"),
            "free text": [f"row {i}" for i in range(N)],
            "constant": 1.0,
            "empty": None,
        }
    )
    html = evidently_report(rows, rows.head(100), list(rows.columns), 0.1, 0.3)
    shown = {name for name in rows.columns if re.search(rf'"{name}"', html)}
    assert shown == set(rows.columns) - {"empty"}


def test_its_distances_are_those_that_the_gate_tells(spring, july):
    html = evidently_report(spring.head(5000), july.head(5000), ["dep_delay"], 0.1, 0.3)
    from scipy.stats import wasserstein_distance

    before, now = spring.dep_delay.head(5000), july.dep_delay.head(5000)
    assert f"{wasserstein_distance(before, now) / before.std(ddof=0):.3f}" in html


def evidently_says(reference, current, numbers, method):
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    definition = DataDefinition(**{"numerical_columns" if numbers else "categorical_columns": ["c"]})
    sides = [
        Dataset.from_pandas(pd.DataFrame({"c": side}), data_definition=definition) for side in (current, reference)
    ]
    return float(Report([ValueDrift(column="c", method=method)]).run(*sides).dict()["metrics"][0]["value"])


@pytest.mark.slow
@pytest.mark.parametrize(("before", "now"), [(500, 500), (999, 40_000), (20_000, 1001), (150_000, 28_000)])
@pytest.mark.parametrize("column", ["dep_delay", "distance", "hour", "plane_age", "carrier", "dest", "late"])
def test_a_columns_distance_is_evidentlys_own_to_a_millionth(flights, column, before, now):
    reference = flights[flights.month <= 6][column].head(before).reset_index(drop=True)
    current = flights[flights.month == 7][column].sample(now, replace=True, random_state=0).reset_index(drop=True)
    numbers = column in ("dep_delay", "distance", "hour", "plane_age")
    method = "wasserstein" if numbers else "jensenshannon"
    expected = evidently_says(reference.to_numpy(), current.to_numpy(), numbers, method)
    assert measure(column, reference, current, seed=0).values.distance == pytest.approx(expected, abs=1e-6)
