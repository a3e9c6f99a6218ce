import json

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.verdict import Outcome
from lifecycle.gates.data_quality import DataQualityGate
from lifecycle.gates.data_quality.profiler import derive_suite


def kinds_of(suite, column):
    return [
        e["type"].removeprefix("expect_column_")
        for e in suite["expectations"]
        if e["kwargs"].get("column") == column
    ]


def demand(suite, column, kind):
    (kwargs,) = (
        e["kwargs"]
        for e in suite["expectations"]
        if (e["kwargs"].get("column"), e["type"]) == (column, f"expect_column_{kind}")
    )
    return kwargs


COMMON = ["to_exist", "values_to_be_in_type_list", "values_to_not_be_null"]
OF_NUMBERS = [*COMMON, "values_to_be_between", "median_to_be_between", "stdev_to_be_between"]
OF_TEXT = [*COMMON, "values_to_be_in_set", "unique_value_count_to_be_between"]


def test_every_input_is_demanded_with_its_type_nulls_and_values(spring_suite, spring):
    for name in spring.columns.drop("late"):
        text = name in ("carrier", "origin", "dest")
        assert kinds_of(spring_suite, name) == (OF_TEXT if text else OF_NUMBERS)


def test_a_number_that_is_nearly_always_the_same_may_come_without_the_others():
    always, nearly = ([0.0] * (100 - n) + [0.5] * n for n in (20, 3))
    suite = derive_suite(pd.DataFrame({"varied": always, "nearly": nearly}))
    assert set(demand(suite, "varied", "stdev_to_be_between")) > {"min_value", "max_value"}
    assert "min_value" not in demand(suite, "nearly", "stdev_to_be_between")


def test_it_is_valid_json_whatever_the_values():
    odd = pd.DataFrame(
        {
            "inf": [1.0, np.inf, -np.inf],
            "null": [None, None, None],
            "one": [1, 1, 1],
            "largest": [-1.7e308, 0, 1.7e308],
            "huge": pd.Series([2**70, 2**80, 1], dtype=object),
            "when": pd.date_range("2013-01-01", periods=3),
            "zoned": pd.date_range("2013-01-01", periods=3, tz="UTC"),
            "never": pd.to_datetime(["9999-12-31"] * 3).astype("datetime64[us]"),
            "list": [[1], [2], [3]],
            "bytes": [b"a", b"b", b"c"],
            "flag": [True, None, False],
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "category": pd.Categorical(["a", "b", "a"]),
        }
    )
    for rows in (odd, odd.head(1)):
        json.dumps(derive_suite(rows), allow_nan=False)


def test_names_and_free_text_are_not_taken_for_categories(flights):
    suite = derive_suite(flights[["tailnum", "carrier"]].sample(20_000, random_state=0))
    assert "values_to_be_in_set" not in kinds_of(suite, "tailnum")
    assert "values_to_be_in_set" in kinds_of(suite, "carrier")


def test_what_tells_rows_apart_is_to_be_unique_and_nothing_else_because_later_ones_are_others():
    ids = pd.DataFrame({"number": range(5000), "text": [f"id {i}" for i in range(5000)], "x": np.arange(5000) / 7})
    suite = derive_suite(ids)
    for name in ("number", "text"):
        assert kinds_of(suite, name) == [*COMMON, "values_to_be_unique"]
    assert kinds_of(suite, "x") == OF_NUMBERS
    assert kinds_of(derive_suite(ids.head(999)), "number") == OF_NUMBERS


def test_a_column_without_a_value_is_only_demanded_to_exist():
    assert kinds_of(derive_suite(pd.DataFrame({"x": [None, np.nan]})), "x") == ["to_exist"]


def test_a_column_that_hardly_varies_may_be_the_same_everywhere():
    rows = pd.DataFrame({"rare": [True] * 95 + [False] * 5, "often": ["a"] * 90 + ["b"] * 10})
    assert "unique_value_count_to_be_between" not in kinds_of(derive_suite(rows), "rare")
    assert demand(derive_suite(rows), "often", "unique_value_count_to_be_between")["min_value"] == 2


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_datetimes_may_go_on_for_years_but_hardly_back(zone):
    when = pd.Series(pd.date_range("2013-01-01", "2013-07-01", tz=zone))
    bounds = demand(derive_suite(pd.DataFrame({"x": when})), "x", "values_to_be_between")
    assert bounds["min_value"].startswith("2012-10-02")
    assert bounds["max_value"].startswith("2023-07-01")


def test_at_least_a_thousandth_of_the_rows_is_demanded(spring):
    for rows, given, least in (
        (spring, None, len(spring) // 1000),
        (spring.head(5), None, 1),
        (spring.head(5), 10**7, 10**4),
    ):
        expectation = derive_suite(rows, count=given)["expectations"][0]
        assert expectation == {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": least}}


def test_the_rows_are_not_changed_and_no_suite_shares_anything_with_another(spring):
    before = spring.copy(deep=True)
    first, second = derive_suite(spring), derive_suite(spring)
    pd.testing.assert_frame_equal(spring, before)
    demand(first, "hour", "values_to_be_in_type_list")["type_list"].clear()
    assert demand(second, "hour", "values_to_be_in_type_list")["type_list"]


@pytest.mark.slow
def test_great_expectations_itself_loads_it_and_the_reference_meets_it(spring, spring_suite):
    from great_expectations.core import ExpectationSuite

    suite = ExpectationSuite(**json.loads(json.dumps(spring_suite)))
    assert len(suite.expectations) == len(spring_suite["expectations"])
    assert unmet(spring, spring_suite) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["str", object, "string", "category"])
def test_every_spelling_of_text_meets_it(spring, spring_suite, dtype):
    rows = (
        spring.head(20_000)
        .astype(dict.fromkeys(["carrier", "origin", "dest"], dtype))
        .astype({"hour": "Int32", "distance": "float32"})
    )
    assert unmet(rows, spring_suite) == []


def unmet(rows, suite):
    from lifecycle.gates.data_quality.gx import validate
    from lifecycle.gates.data_quality.suite import ExpectationStatus

    return [r.expectation for r in validate(suite["expectations"], rows) if r.finding is not ExpectationStatus.MET]


# Clean months pass, and each planted defect is caught. The flights get what they lack: an identifier, a flag and
# a moment.


@pytest.fixture(scope="module")
def months(flights):
    """Rows by month, with a column of every kind."""
    rows = flights.assign(
        flight_id=range(len(flights)),
        weekend=pd.to_datetime(flights.time_hour).dt.weekday >= 5,
        scheduled=pd.to_datetime(flights.time_hour, utc=True).dt.tz_localize(None),
    )
    columns = ["dep_delay", "distance", "hour", "carrier", "origin", "dest", "plane_age", "tailnum"]
    rows = rows[["month", *columns, "flight_id", "weekend", "scheduled"]]
    return {month: group.drop(columns="month").reset_index(drop=True) for month, group in rows.groupby("month")}


@pytest.fixture(scope="module")
def suite(months):
    """As ``lifecycle.track()`` derives it from January to June, read from JSON again."""
    spring = pd.concat([months[month] for month in range(1, 7)])
    return json.loads(json.dumps(derive_suite(spring)))


def judge(subject_of, rows, suite):
    return DataQualityGate(DataQualityGate.Options()).evaluate(subject_of(current=rows, suite=suite))


@pytest.mark.slow
@pytest.mark.parametrize("month", range(7, 13))
def test_clean_later_months_pass(subject_of, months, suite, month):
    verdict = judge(subject_of, months[month], suite)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.slow
def test_so_do_a_few_rows_of_each(subject_of, months, suite):
    for month in range(7, 13):
        verdict = judge(subject_of, months[month].sample(200, random_state=1), suite)
        assert verdict.outcome is Outcome.PASSED, (month, verdict.message)


def with_nulls(rows, column, share):
    leak = np.random.default_rng(0).random(len(rows)) < share
    return rows.assign(**{column: rows[column].mask(leak)})


def swapped(rows, one, other):
    return rows.rename(columns={one: other, other: one})


DEFECTS = {
    "nulls leak into numbers": (lambda r: with_nulls(r, "dep_delay", 0.05), "dep_delay: 5"),
    "nulls leak into text": (lambda r: with_nulls(r, "carrier", 0.05), "carrier: "),
    "nulls leak into true/false": (lambda r: with_nulls(r, "weekend", 0.05), "weekend: "),
    "nulls leak into datetimes": (lambda r: with_nulls(r, "scheduled", 0.05), "scheduled: "),
    "more nulls than usual": (lambda r: with_nulls(r, "plane_age", 0.3), "plane_age: "),
    "a column is all null": (lambda r: r.assign(plane_age=np.nan), "plane_age: 100.0 % null"),
    "kilometres": (lambda r: r.assign(distance=r.distance * 1.609), "distance: median"),
    "seconds": (lambda r: r.assign(dep_delay=r.dep_delay * 60), "dep_delay: "),
    "hours": (lambda r: r.assign(dep_delay=r.dep_delay / 60), "dep_delay: spread"),
    "seconds since 1970 read as milliseconds": (
        lambda r: r.assign(scheduled=pd.to_datetime(r.scheduled.astype("int64") // 10**9 // 1000, unit="s")),
        "scheduled: 100.0 % outside",
    ),
    "a year that stands for never": (
        lambda r: r.assign(scheduled=r.scheduled.mask(r.index % 20 == 0, pd.Timestamp("2199-12-31"))),
        "scheduled: 5.0 % outside",
    ),
    "a time zone nobody expects": (
        lambda r: r.assign(scheduled=r.scheduled.dt.tz_localize("UTC")),
        "scheduled: has another type",
    ),
    "datetimes as text": (lambda r: r.assign(scheduled=r.scheduled.astype(str)), "scheduled: has another type"),
    "swapped texts": (lambda r: swapped(r, "origin", "dest"), "origin: "),
    "swapped numbers": (lambda r: swapped(r, "hour", "distance"), "hour: "),
    "swapped kinds": (lambda r: swapped(r, "carrier", "distance"), "carrier: has another type"),
    "a new category": (
        lambda r: r.assign(carrier=r.carrier.mask(r.index % 20 == 0, "???")),
        "carrier: 5.0 % in no",
    ),
    "a category spelled otherwise": (lambda r: r.assign(origin=r.origin.replace("JFK", "jfk")), "origin: "),
    "stuck numbers": (lambda r: r.assign(dep_delay=0.0), "dep_delay: spread 0"),
    "stuck text": (lambda r: r.assign(carrier="UA"), "carrier: number of different values 1 is below 2"),
    "stuck names": (lambda r: r.assign(tailnum="unknown"), "tailnum: number of different values 1 is below 2"),
    "stuck true/false": (lambda r: r.assign(weekend=False), "weekend: number of different values 1 is below 2"),
    "stuck datetimes": (
        lambda r: r.assign(scheduled=r.scheduled.iloc[0]),
        "scheduled: number of different values 1",
    ),
    "rows that come twice": (lambda r: pd.concat([r, r.head(len(r) // 20)]), "flight_id: 9.5 % more than once"),
    "numbers as text": (lambda r: r.assign(distance=r.distance.astype(str)), "distance: has another type"),
    "true/false as 0 and 1": (lambda r: r.assign(weekend=r.weekend.astype(int)), "weekend: has another type"),
    "one infinite value": (lambda r: r.assign(distance=r.distance.mask(r.index == 3, np.inf)), "distance: "),
    "hardly any rows": (lambda r: r.head(120), "table: number of rows 120 is below 160"),
}


@pytest.mark.slow
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught_by_its_column(subject_of, months, suite, defect):
    plant, words = DEFECTS[defect]
    verdict = judge(subject_of, plant(months[7]), suite)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "data_quality.expectations_not_met")
    assert words in verdict.message
