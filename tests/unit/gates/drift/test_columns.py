"""What is said of one column."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from lifecycle.gates.drift.columns import ColumnStatus, measure
from lifecycle.gates.drift.decide import find
from lifecycle.gates.drift.gate import DriftOptions

RNG = np.random.default_rng(0)
N = 2000
NORMAL = RNG.normal(size=N)
TEXT = RNG.choice(["a", "b", "c"], size=N)
MANY = RNG.integers(0, 10_000, (2, N)).astype(str)
DAYS = pd.Series(pd.date_range("2013-01-01", periods=N))
NULLS = np.full(N, np.nan)
FEW = np.append(NORMAL[:20], NULLS[20:])


def judged(reference, current, **options):
    column = measure("c", pd.Series(reference), pd.Series(current), seed=0)
    return find((column,), (), (), DriftOptions(**options)).columns[0]


@pytest.mark.parametrize(
    ("reference", "current", "finding"),
    [
        (NORMAL, NORMAL, ColumnStatus.STEADY),
        (NORMAL, NORMAL + 0.3, ColumnStatus.DRIFTED),
        (NORMAL, NORMAL * 1.6, ColumnStatus.DRIFTED),
        (NORMAL, NORMAL + 1, ColumnStatus.BEYOND),
        (NORMAL / 1e6, NORMAL / 1e6 + 1e-6, ColumnStatus.BEYOND),
        (NORMAL * 1e200, NORMAL * 1e200, ColumnStatus.STEADY),
        (NORMAL * 1e200, NORMAL * 1e201, ColumnStatus.BEYOND),
        (NORMAL, np.where(NORMAL > 0, NORMAL, np.nan), ColumnStatus.BEYOND),
        (NULLS, NORMAL, ColumnStatus.BEYOND),
        (NORMAL, NULLS, ColumnStatus.BEYOND),
        (NULLS, NULLS, ColumnStatus.EMPTY),
        (NULLS, FEW, ColumnStatus.UNJUDGED),
        (FEW, FEW, ColumnStatus.UNJUDGED),
        (NORMAL, np.append(NORMAL[1:], np.inf), ColumnStatus.BEYOND),
        (NORMAL, np.append(NORMAL[1:], -np.inf), ColumnStatus.BEYOND),
        (np.append(NORMAL[1:], np.inf), NORMAL, ColumnStatus.STEADY),
        (np.append(NORMAL[400:], [np.inf] * 400), NORMAL, ColumnStatus.BEYOND),
        (NORMAL, np.append(NORMAL[1:], 1e9), ColumnStatus.UNJUDGED),
        (np.full(N, 7.0), np.full(N, 7.0), ColumnStatus.STEADY),
        (np.full(N, 7.0), np.full(N, 8.0), ColumnStatus.BEYOND),
        (np.full(N, 7.0), NORMAL, ColumnStatus.BEYOND),
        (NORMAL, np.full(N, 0.0), ColumnStatus.BEYOND),
        (TEXT, TEXT, ColumnStatus.STEADY),
        (TEXT, np.full(N, "a"), ColumnStatus.DRIFTED),
        (np.full(N, "a"), np.full(N, "a"), ColumnStatus.STEADY),
        (np.full(N, "a"), TEXT, ColumnStatus.BEYOND),
        (TEXT, np.where(RNG.random(N) < 0.1, "new", TEXT), ColumnStatus.BEYOND),
        (TEXT, np.where(RNG.random(N) < 0.01, "new", TEXT), ColumnStatus.STEADY),
        (TEXT, [f"new {i}" for i in range(N)], ColumnStatus.BEYOND),
        (TEXT == "a", TEXT != "a", ColumnStatus.DRIFTED),
        (TEXT == "a", TEXT == "a", ColumnStatus.STEADY),
        (pd.Categorical(TEXT), pd.Categorical(TEXT, ["c", "b", "a", "d"]), ColumnStatus.STEADY),
        (pd.Categorical(TEXT), TEXT, ColumnStatus.STEADY),
        ([f"id {i}" for i in range(N)], [f"id {i}" for i in range(N, 2 * N)], ColumnStatus.UNJUDGED),
        (MANY[0], MANY[1], ColumnStatus.UNJUDGED),
        (DAYS, DAYS, ColumnStatus.STEADY),
        (DAYS, DAYS + pd.Timedelta(days=3650), ColumnStatus.BEYOND),
        (DAYS.dt.tz_localize("UTC"), DAYS.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), ColumnStatus.STEADY),
        (DAYS, DAYS.dt.tz_localize("UTC"), ColumnStatus.OTHER_KIND),
        (DAYS, DAYS.astype(str), ColumnStatus.OTHER_KIND),
        (DAYS.dt.date, DAYS, ColumnStatus.STEADY),
        (TEXT == "a", (TEXT == "a").astype(int), ColumnStatus.OTHER_KIND),
        ((NORMAL * 100).astype(int), pd.array((NORMAL * 100).astype(int), "Int64"), ColumnStatus.STEADY),
        ([2**63 + i for i in range(N)], [2**63 + i for i in range(N)], ColumnStatus.STEADY),
        (pd.Series([10**400] * N, dtype=object), NORMAL, ColumnStatus.BROKE),
        ([Decimal(i) for i in range(N)], np.arange(N) + 0.0, ColumnStatus.STEADY),
        ([b"a", b"b"] * 500, [b"a", b"b"] * 500, ColumnStatus.UNJUDGED),
        ([[1], [2]] * 500, [[1], [2]] * 500, ColumnStatus.UNJUDGED),
        (["a", 1] * 500, ["a", 1] * 500, ColumnStatus.UNJUDGED),
        (
            [datetime.time(i % 24) for i in range(N)],
            [datetime.time(i % 24) for i in range(N)],
            ColumnStatus.UNJUDGED,
        ),
    ],
)
def test_every_kind_of_column_has_a_documented_finding(reference, current, finding):
    assert judged(reference, current).finding is finding


@pytest.mark.parametrize(
    ("reference", "current", "words"),
    [
        (NORMAL, NORMAL + 1, "'c' (1.00, chance gives 0.0"),
        (NORMAL, np.where(NORMAL > 0, NORMAL, np.nan), "'c' (nulls: 0.0 %, now 5"),
        (NORMAL, np.append(NORMAL[1:], np.inf), "'c' (infinite values: 0.0 %, now 0.1 %)"),
        (FEW, FEW, "'c' (only 20 values on one side; 30 are needed)"),
        (TEXT, np.where(np.arange(N) < N / 10, "new", TEXT), "10.0 % of the rows in categories new to the"),
        (MANY[0], MANY[1], "'c' (chance alone gives a distance of 0."),
        (TEXT == "a", NORMAL, "'c' (was true/false, is numbers)"),
    ],
)
def test_what_is_wrong_is_said_in_figures(reference, current, words):
    assert words in judged(reference, current).words


def test_a_small_sample_gives_no_alarm_for_what_chance_may_give():
    # The threshold alone would call nearly all of these drift.
    rng = np.random.default_rng(5)
    text = [judged(*(rng.integers(0, 50, n).astype(str) for n in (5000, 200))) for _ in range(30)]
    tails = [judged(*(rng.standard_t(3, n) for n in (5000, 100))) for _ in range(30)]
    assert min(found.distance for found in text) > 0.1
    assert sum(found.distance > 0.1 for found in tails) > 15
    assert sum(found.moved for found in text + tails) <= 3


def test_many_rows_do_not_make_a_trifle_into_drift(rng):
    found = judged(rng.normal(size=20_000), rng.normal(size=1_000_000) + 0.05)
    assert found.p < 0.001
    assert found.finding is ColumnStatus.STEADY


def test_ten_thousand_categories_are_judged_where_there_are_rows_for_them(rng):
    shares = 1 / np.arange(1, 10_001)
    names, shares = np.arange(10_000).astype(str), shares / shares.sum()
    before, now = (rng.choice(names, size, p=shares) for size in (20_000, 100_000))
    assert judged(before, now).finding is ColumnStatus.STEADY
    assert judged(before, np.where(rng.random(len(now)) < 0.2, "new", now)).finding is ColumnStatus.BEYOND


def test_categories_that_only_chance_left_out_of_the_reference_are_not_new(rng):
    before, now = (rng.zipf(1.3, size).astype(str) for size in (3000, 3000))
    found = judged(before, now)
    assert found.column.values.new < 0.02
    assert not found.moved


@pytest.mark.parametrize(
    ("current", "option"),
    [
        (NORMAL + 0.3, {"drift_distance": 0.4}),
        (np.where(np.arange(N) < N / 2, np.nan, NORMAL), {"max_null_change": 0.6}),
    ],
)
def test_a_limit_is_the_users(current, option):
    assert judged(NORMAL, current).moved
    assert not judged(NORMAL, current, **option).moved


def test_a_larger_limit_makes_a_column_beyond_it_one_that_has_drifted():
    assert judged(NORMAL, NORMAL + 1, max_column_distance=2).finding is ColumnStatus.DRIFTED
    new = np.where(np.arange(N) < N / 5, "new", TEXT)
    assert judged(TEXT, new).finding is ColumnStatus.BEYOND
    assert judged(TEXT, new, max_new_category_share=0.5).finding is ColumnStatus.DRIFTED


def test_the_columns_given_are_not_changed(rng):
    reference, current = pd.Series(rng.normal(size=600)), pd.Series(rng.normal(size=600))
    before = reference.copy(), current.copy()
    measure("c", reference, current, seed=0)
    pd.testing.assert_series_equal(reference, before[0])
    pd.testing.assert_series_equal(current, before[1])


def test_a_picture_shows_what_is_below_and_above_and_all_shares_add_up():
    values = judged(NORMAL, NORMAL + 5).column.values
    assert values.picture.labels[0].startswith("below ")
    assert values.picture.current[-1] > 0.9
    assert sum(values.picture.reference) == pytest.approx(1)
    assert sum(values.picture.current) == pytest.approx(1)


def test_a_picture_of_few_values_names_them():
    values = judged([1.0, 2.0, 3.0] * 200, [2.0, 3.0, 9.0] * 200).column.values
    assert values.picture.labels == ("below 1", "1", "2", "3", "above 3")
    assert values.picture.current == pytest.approx((0, 0, 1 / 3, 1 / 3, 1 / 3))


def test_a_picture_of_categories_names_the_largest_and_counts_the_others():
    picture = judged(RNG.zipf(1.5, N).astype(str), ["never seen"] * N).column.values.picture
    assert picture.labels[0] == "1"
    assert picture.labels[-2].startswith("other (")
    assert (picture.labels[-1], picture.current[-1]) == ("new", 1)
    assert len(picture.labels) == 14


def test_a_picture_of_datetimes_shows_them_as_such():
    assert judged(DAYS, DAYS).column.values.picture.labels[0].startswith("below 2013-01-")
