import json

import numpy as np
import pandas as pd
import pytest

from lifecycle.gates.expectations import derive_suite


def kinds_of(suite, column):
    return [
        e["type"].removeprefix("expect_column_")
        for e in suite["expectations"]
        if e["kwargs"].get("column") == column
    ]


def test_every_input_is_demanded_with_its_type_nulls_and_values(spring_suite, spring):
    common = ["to_exist", "values_to_be_in_type_list", "values_to_not_be_null"]
    numbers = [*common, "values_to_be_between", "median_to_be_between", "stdev_to_be_between"]
    for name in spring.columns.drop("late"):
        text = name in ("carrier", "origin", "dest")
        assert kinds_of(spring_suite, name) == ([*common, "values_to_be_in_set"] if text else numbers)


def test_it_is_valid_json_whatever_the_values():
    odd = pd.DataFrame(
        {
            "inf": [1.0, np.inf, -np.inf],
            "null": [None, None, None],
            "one": [1, 1, 1],
            "when": pd.date_range("2013-01-01", periods=3),
            "list": [[1], [2], [3]],
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


def test_the_rows_are_not_changed(spring):
    before = spring.copy(deep=True)
    derive_suite(spring)
    pd.testing.assert_frame_equal(spring, before)


@pytest.mark.slow
def test_great_expectations_itself_loads_it_and_the_reference_meets_it(spring, spring_suite):
    from lifecycle.gates.great_expectations_run import validate

    findings = validate(json.loads(json.dumps(spring_suite)), spring)
    assert len(findings) == len(spring_suite["expectations"])
    assert [f.words for f in findings if f.unmet or f.broke or f.vacuous] == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["str", object, "string", "category"])
def test_every_spelling_of_text_meets_it(spring, spring_suite, dtype):
    from lifecycle.gates.great_expectations_run import validate

    rows = spring.astype(dict.fromkeys(["carrier", "origin", "dest"], dtype)).astype(
        {"hour": "Int32", "distance": "float32"}
    )
    assert [f.words for f in validate(spring_suite, rows) if f.unmet or f.broke] == []
