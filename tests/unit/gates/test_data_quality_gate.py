import sys

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.verdict import Outcome
from lifecycle.gates.data_quality import DataQualityGate

SUITE = {"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "x"}}]}
ROWS = pd.DataFrame({"x": np.arange(200.0)})


def judge(subject, **options):
    return DataQualityGate(DataQualityGate.Options(**options)).evaluate(subject)


def expecting(*expectations):
    return {"name": "s", "expectations": [{"type": f"expect_{t}", "kwargs": kwargs} for t, kwargs in expectations]}


@pytest.mark.parametrize(
    ("current", "suite", "reason"),
    [
        (None, SUITE, "no_current_data"),
        (ROWS, None, "no_suite"),
        (ROWS, {}, "no_suite"),
        (ROWS, {"name": "s", "expectations": []}, "no_suite"),
        (ROWS.head(0), SUITE, "too_few_rows"),
        (ROWS.head(99), SUITE, "too_few_rows"),
    ],
)
def test_without_something_to_judge_it_is_inconclusive_and_costs_no_import(subject_of, current, suite, reason):
    before = "great_expectations" in sys.modules
    verdict = judge(subject_of(current=current, suite=suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"data_quality.{reason}")
    assert ("great_expectations" in sys.modules) == before


def test_without_current_data_it_says_how_to_give_some(subject_of):
    assert "--current FILE" in judge(subject_of(suite=SUITE)).message


def test_a_missing_column_fails_by_name(subject_of):
    verdict = judge(subject_of(current=ROWS.rename(columns={"x": "y"}), suite=SUITE))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "data_quality.missing_columns")
    assert "'x'" in verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("month", range(7, 13))
def test_clean_later_months_pass(subject_of, flights, spring, spring_suite, month):
    current = flights[flights.month == month][spring.columns]
    verdict = judge(subject_of(current=current, suite=spring_suite))
    assert verdict.outcome is Outcome.PASSED, verdict.message


def _with_nulls(rows, column, share):
    leak = np.random.default_rng(0).random(len(rows)) < share
    return rows.assign(**{column: rows[column].mask(leak)})


BROKEN = {
    "nulls leak into numbers": (lambda r: _with_nulls(r, "dep_delay", 0.05), "dep_delay: "),
    "nulls leak into text": (lambda r: _with_nulls(r, "carrier", 0.05), "carrier: "),
    "more nulls than usual": (lambda r: _with_nulls(r, "plane_age", 0.3), "plane_age: "),
    "a column is all null": (lambda r: r.assign(plane_age=np.nan), "plane_age: 100.0 % null"),
    "kilometres": (lambda r: r.assign(distance=r.distance * 1.609), "distance: median"),
    "seconds": (lambda r: r.assign(dep_delay=r.dep_delay * 60), "dep_delay: "),
    "hours": (lambda r: r.assign(dep_delay=r.dep_delay / 60), "dep_delay: spread"),
    "swapped texts": (lambda r: r.rename(columns={"origin": "dest", "dest": "origin"}), "origin: "),
    "swapped numbers": (lambda r: r.rename(columns={"hour": "distance", "distance": "hour"}), "hour: "),
    "garbage category": (lambda r: r.assign(carrier=r.carrier.mask(r.index % 20 == 0, "???")), "carrier: "),
    "numbers as text": (lambda r: r.assign(distance=r.distance.astype(str)), "distance: has another type"),
    "one infinite value": (lambda r: r.assign(distance=r.distance.mask(r.index == 3, np.inf)), "distance: "),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", BROKEN)
def test_broken_rows_fail_by_column_with_figures(subject_of, july, spring_suite, how):
    broken, words = BROKEN[how]
    verdict = judge(subject_of(current=broken(july), suite=spring_suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "data_quality.expectations_not_met")
    assert words in verdict.message


@pytest.mark.slow
def test_no_category_and_no_row_is_quoted(subject_of, july, spring_suite):
    planted = july.assign(carrier=july.carrier.mask(july.index % 2 == 0, "hush"))
    verdict = judge(subject_of(current=planted, suite=spring_suite))
    assert "in no known category" in verdict.message
    assert "hush" not in f"{verdict.message} {verdict.figures}"


@pytest.mark.slow
def test_an_expectation_that_holds_for_want_of_values_does_not_pass(subject_of):
    suite = expecting(("column_values_to_be_between", {"column": "x", "min_value": 0, "max_value": 1}))
    verdict = judge(subject_of(current=ROWS.assign(x=np.nan), suite=suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "data_quality.no_values")


@pytest.mark.slow
def test_an_expectation_that_raises_is_an_error(subject_of):
    suite = expecting(("column_values_to_match_regex", {"column": "x", "regex": "("}))
    verdict = judge(subject_of(current=ROWS.assign(x="text"), suite=suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "data_quality.expectation_broke")
    assert verdict.figures["broke"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "suite",
    [
        expecting(("column_to_be_nice", {"column": "x"})),
        expecting(("column_to_exist", {"column": "x", "colour": "red"})),
        expecting(("column_to_exist", {"column": "x"}), ("column_to_be_nice", {"column": "x"})),
        {"name": "s", "expectations": [{"surprise": 1}]},
    ],
)
def test_a_suite_that_cannot_be_read_is_an_error(subject_of, suite):
    verdict = judge(subject_of(current=ROWS, suite=suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "data_quality.bad_suite")


@pytest.mark.slow
def test_it_leaves_no_files_shows_no_bar_and_calls_nobody(
    subject_of, july, spring_suite, empty_home, capfd, calls_home
):
    judge(subject_of(current=july, suite=spring_suite))
    assert list(empty_home.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert calls_home == []
