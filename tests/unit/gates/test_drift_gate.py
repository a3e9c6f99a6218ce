import sys

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.verdict import Outcome
from lifecycle.gates import column_drift
from lifecycle.gates.column_drift import Finding, judge_column
from lifecycle.gates.drift import DriftGate


@pytest.fixture
def no_signature(candidate_of):
    """The gate then compares every column of the reference."""
    return candidate_of(columns=[], example=None)


def judge(subject, **options):
    return DriftGate(DriftGate.Options(**options)).evaluate(subject)


def column(reference, current, **kwargs):
    return judge_column("c", pd.Series(reference), pd.Series(current), max_null_change=0.1, seed=0, **kwargs)


ROWS = pd.DataFrame({"x": np.random.default_rng(0).normal(size=600), "late": True})


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (None, ROWS, "no_reference"),
        (ROWS, None, "no_current_data"),
        (ROWS, ROWS.head(0), "too_few_rows"),
        (ROWS, ROWS.head(499), "too_few_rows"),
        (ROWS.head(1), ROWS, "too_few_rows"),
        (ROWS.assign(x=np.nan), ROWS.assign(x=np.nan), "no_values"),
    ],
)
def test_without_something_to_compare_it_is_inconclusive_and_costs_no_import(
    no_signature, subject_of, reference, current, reason
):
    before = "evidently" in sys.modules
    verdict = judge(subject_of(no_signature, reference, current))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"drift.{reason}")
    assert ("evidently" in sys.modules) == before


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda r: r.drop(columns="x"), "missing_columns", "'x'"),
        (lambda r: r.assign(x=r.x.astype(str)), "type_changed", "was numbers, is text"),
        (lambda r: r.assign(x=r.x > 0), "type_changed", "was numbers, is true/false"),
        (lambda r: r.assign(x=pd.Timestamp("2013-07-01")), "type_changed", "was numbers, is datetimes"),
    ],
)
def test_columns_that_cannot_be_compared_fail_by_name(no_signature, subject_of, change, reason, words):
    verdict = judge(subject_of(no_signature, ROWS, change(ROWS)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, f"drift.{reason}")
    assert words in verdict.message


def test_the_loss_of_a_time_zone_is_a_change_of_kind(no_signature, subject_of):
    naive = ROWS.assign(x=pd.Timestamp("2013-07-01"))
    verdict = judge(subject_of(no_signature, naive.assign(x=naive.x.dt.tz_localize("UTC")), naive))
    assert verdict.reason == "drift.type_changed"


def test_a_column_that_the_reference_lacks_is_inconclusive(no_signature, subject_of):
    verdict = judge(subject_of(no_signature, ROWS, ROWS), columns=["x", "y"])
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "drift.not_in_reference")
    assert "'y'" in verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("month", range(7, 13))
def test_later_months_as_they_are_pass(no_signature, subject_of, flights, spring, month):
    current = flights[flights.month == month][spring.columns]
    verdict = judge(subject_of(no_signature, spring, current))
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.slow
def test_the_verdict_does_not_hang_on_the_number_of_rows(no_signature, subject_of, spring, july):
    # Evidently's own choice of method changes at 1000 rows.
    sizes = (500, 999, 1001, 5000)
    samples = [subject_of(no_signature, spring, july.sample(n, random_state=n)) for n in sizes]
    assert [judge(subject).outcome for subject in samples] == [Outcome.PASSED] * len(sizes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shift",
    [
        lambda r: r[r.origin == "JFK"],
        lambda r: r[r.distance < 1000],
        lambda r: r.assign(dep_delay=r.dep_delay + 30, distance=r.distance * 1.3, hour=(r.hour + 5) % 24),
    ],
    ids=["one airport only", "short flights only", "three numbers moved"],
)
def test_shifted_months_fail_and_name_the_columns(no_signature, subject_of, spring, july, shift):
    verdict = judge(subject_of(no_signature, spring, shift(july)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "drift.share_exceeded")
    assert "'distance' (0." in verdict.message
    assert verdict.figures["drifted_share"] > 0.3


@pytest.mark.slow
def test_as_many_columns_as_allowed_may_drift_and_are_named(no_signature, subject_of, spring, july):
    moved = july.assign(distance=july.distance + 2000)
    subject = subject_of(no_signature, spring, moved)
    assert judge(subject, columns=["distance", "hour"], max_drifted_share=0.4).outcome is Outcome.FAILED
    verdict = judge(subject, columns=["distance", "hour"], max_drifted_share=0.5)
    assert verdict.outcome is Outcome.PASSED
    assert "'distance'" in verdict.message


@pytest.mark.slow
def test_the_models_inputs_are_compared_and_nothing_else(candidate_of, subject_of, spring, july):
    candidate = candidate_of(columns=[{"name": "hour", "type": "long"}], example=[[1]])
    verdict = judge(subject_of(candidate, spring, july.assign(distance=0, extra="?")))
    assert (verdict.outcome, verdict.figures["columns"]) == (Outcome.PASSED, 1)


@pytest.mark.slow
def test_a_column_that_breaks_is_named_and_the_others_are_judged(no_signature, subject_of):
    # 1e200 squared is beyond a float, so there is no standard deviation to measure by.
    huge = pd.DataFrame({"x": ROWS.x, "huge": ROWS.x * 1e200})
    verdict = judge(subject_of(no_signature, huge, huge))
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "drift.column_broke")
    assert "'huge'" in verdict.message
    assert verdict.figures["distance.x"] == 0
    moved = judge(subject_of(no_signature, huge, huge.assign(x=huge.x + 5)))
    assert moved.reason == "drift.share_exceeded"


@pytest.mark.slow
def test_a_column_of_too_many_values_leaves_it_open_and_can_be_left_out(no_signature, subject_of, spring):
    rows = spring.head(6000).assign(id=[f"id-{i}" for i in range(6000)])
    subject = subject_of(no_signature, rows.head(3000), rows.tail(3000))
    verdict = judge(subject, max_drifted_share=0.9)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "drift.columns_unjudged")
    assert "'id'" in verdict.message
    assert judge(subject, max_drifted_share=0.9, columns=["origin"]).outcome is Outcome.PASSED


@pytest.mark.slow
def test_large_data_are_sampled_with_a_seed_and_say_so(no_signature, subject_of, spring):
    subject = subject_of(no_signature, spring, spring)
    first = judge(subject, sample_rows=1000, seed=3)
    assert (first.figures["reference_rows"], first.figures["current_rows"], first.figures["seed"]) == (
        1000,
        1000,
        3,
    )
    assert judge(subject, sample_rows=1000, seed=3) == first


@pytest.mark.slow
def test_it_leaves_no_files_says_nothing_and_calls_nobody(
    subject_of, no_signature, flights, empty_home, capfd, calls_home
):
    rows = flights[["hour", "carrier"]]
    judge(subject_of(no_signature, rows, rows))
    assert list(empty_home.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert calls_home == []


RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=2000)
TEXT = RNG.choice(["a", "b", "c"], size=2000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "current", "finding"),
    [
        (NORMAL, NORMAL, Finding.STEADY),
        (TEXT, TEXT, Finding.STEADY),
        (NORMAL, NORMAL + 1, Finding.DRIFTED),
        (NORMAL / 1e6, NORMAL / 1e6 + 1e-6, Finding.DRIFTED),
        (NORMAL, np.where(NORMAL > 0, NORMAL, np.nan), Finding.DRIFTED),
        (np.full(2000, np.nan), NORMAL, Finding.DRIFTED),
        (NORMAL, np.full(2000, np.nan), Finding.DRIFTED),
        (np.full(2000, np.nan), np.full(2000, np.nan), Finding.EMPTY),
        (NORMAL, np.append(NORMAL[1:], np.inf), Finding.DRIFTED),
        (np.append(NORMAL[1:], np.inf), NORMAL, Finding.UNJUDGED),
        (np.full(2000, 7.0), np.full(2000, 7.0), Finding.STEADY),
        (np.full(2000, 7.0), np.full(2000, 8.0), Finding.DRIFTED),
        (np.full(2000, 7.0), NORMAL, Finding.DRIFTED),
        (NORMAL, np.full(2000, 0.0), Finding.DRIFTED),
        (TEXT, np.full(2000, "a"), Finding.DRIFTED),
        (TEXT, np.where(RNG.random(2000) < 0.1, "new", TEXT), Finding.DRIFTED),
        (TEXT == "a", TEXT != "a", Finding.DRIFTED),
        (
            np.append(NORMAL[:20], np.full(1980, np.nan)),
            np.append(NORMAL[:20], np.full(1980, np.nan)),
            Finding.UNJUDGED,
        ),
        (TEXT, [f"new {i}" for i in range(2000)], Finding.DRIFTED),
        ([f"id {i}" for i in range(2000)], [f"id {i}" for i in range(2000, 4000)], Finding.UNJUDGED),
        (RNG.integers(0, 10_000, 2000).astype(str), RNG.integers(0, 10_000, 2000).astype(str), Finding.UNJUDGED),
        (pd.date_range("2013-01-01", periods=2000), pd.date_range("2013-01-01", periods=2000), Finding.STEADY),
        (pd.date_range("2013-01-01", periods=2000), pd.date_range("2023-01-01", periods=2000), Finding.DRIFTED),
    ],
)
def test_every_kind_of_column_has_a_documented_finding(reference, current, finding):
    assert column(reference, current).finding is finding


@pytest.mark.slow
def test_chance_alone_is_hardly_ever_drift():
    rng = np.random.default_rng(5)
    text = [
        column(rng.integers(0, 100, 5000).astype(str), rng.integers(0, 100, 500).astype(str)) for _ in range(20)
    ]
    tails = [column(rng.standard_t(3, 5000), rng.standard_t(3, 500)) for _ in range(20)]
    assert sum(found.finding is not Finding.STEADY for found in text + tails) <= 1
    assert (
        max(found.distance for found in text) > column_drift.THRESHOLD
    )  # which the threshold alone would call drift
