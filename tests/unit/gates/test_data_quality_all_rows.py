"""What is calculated from all rows is what Great Expectations itself says of the same rows."""

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifecycle.data.dataset import Dataset, FrameRows, dataset_from_frame
from tests.proof import rounds, some

ROWS = 300
RNG = np.random.default_rng(5)
FLOATS = RNG.normal(3, 10, ROWS).round(2)
INTS = RNG.integers(-20, 20, ROWS)
WORDS = RNG.choice(["AA", "UA", "", "Zürich", "a b", "nan"], ROWS)
MOMENTS = pd.Series(pd.Timestamp("2013-01-01") + pd.to_timedelta(RNG.integers(0, 8000, ROWS), unit="h"))
GAPS = RNG.random(ROWS) < 0.2


def gappy(values, dtype=None):
    return pd.Series(values).astype(dtype or object).mask(GAPS)


COLUMNS = {
    "float": pd.Series(FLOATS),
    "float with gaps": pd.Series(np.where(GAPS, np.nan, FLOATS)),
    "float with all": pd.Series(np.where(GAPS, np.where(RNG.random(ROWS) < 0.5, -np.inf, np.nan), FLOATS)),
    "constant": pd.Series(np.full(ROWS, 2.0)),
    "int": pd.Series(INTS),
    "uint": pd.Series(np.abs(INTS).astype("uint16")),
    "huge int": pd.Series(np.full(ROWS, 2**63 + 5, dtype="uint64")),
    "python ints": pd.Series([2**70 + i for i in range(ROWS)], dtype=object),
    "Int64 with gaps": gappy(INTS, "Int64"),
    "decimal": pd.Series([Decimal(str(v)) for v in FLOATS]),
    "bool": pd.Series(INTS > 0),
    "bool with gaps": gappy(INTS > 0),
    "bool objects": pd.Series(list(map(bool, INTS > 0)), dtype=object),
    "text": pd.Series(WORDS),
    "text with gaps": gappy(WORDS),
    "string with gaps": gappy(WORDS, "string"),
    "category with gaps": gappy(WORDS, "category"),
    "unique text": pd.Series([f"id {i}" for i in range(ROWS)]),
    "datetime": MOMENTS,
    "datetime in us": MOMENTS.astype("datetime64[us]"),
    "far datetime": pd.Series([pd.Timestamp("9999-12-31")] * ROWS).astype("datetime64[us]").where(GAPS, MOMENTS),
    "zoned": MOMENTS.dt.tz_localize("Europe/Berlin", ambiguous="NaT", nonexistent="NaT"),
    "date": pd.Series(MOMENTS.dt.date.tolist(), dtype=object),
    "null": pd.Series([None] * ROWS, dtype=object),
    "nan": pd.Series(np.full(ROWS, np.nan)),
    "null text": pd.Series([None] * ROWS, dtype="str"),
    "bytes": pd.Series([b"ab", b"c"] * (ROWS // 2)),
    "lists": pd.Series([[1], [2, 3]] * (ROWS // 2)),
    "mixed": pd.Series([1, "a", None] * (ROWS // 3)),
    "complex": pd.Series(FLOATS.astype(complex)),
}
FRAME = pd.DataFrame(COLUMNS)
USUAL = [
    "float with gaps",
    "int",
    "Int64 with gaps",
    "bool with gaps",
    "text with gaps",
    "datetime",
    "zoned",
    "mixed",
]

BOUNDS = [
    {"min_value": 0, "max_value": 10},
    {"min_value": -5.5},
    {"max_value": 2},
    {"min_value": 2, "max_value": 2, "strict_min": True},
    {"min_value": 0, "max_value": 2, "strict_max": True},
    {"min_value": "2013-02-01", "max_value": "2013-10-01T12:00:00"},
    {"min_value": "2013-06-01T00:00:00+00:00"},
]
SETS = [
    [1, 2, 3],
    ["AA", "UA", "nan"],
    [True, "AA", None],
    ["2013-01-05T00:00:00"],
    [],
]
AGGREGATES = ["min", "max", "mean", "median", "stdev", "sum"]
COUNTS = ["unique_value_count", "proportion_of_unique_values", "proportion_of_non_null_values"]
TYPES = ["float64", "str", "Timestamp", "nonsense"]

EXPECTATIONS = [
    ("values_to_not_be_null", {}),
    ("values_to_not_be_null", {"mostly": 0.8}),
    ("values_to_be_null", {"mostly": 0.1}),
    ("values_to_be_unique", {}),
    ("values_to_be_unique", {"mostly": 0.0}),
    *(("values_to_be_between", bounds) for bounds in BOUNDS),
    ("values_to_be_between", {"min_value": 0, "mostly": 0.5}),
    ("values_to_be_between", {"min_value": 0, "mostly": 0.0}),
    *((f"{figure}_to_be_between", bounds) for figure in AGGREGATES for bounds in (BOUNDS[0], BOUNDS[5])),
    *((f"{figure}_to_be_between", {"min_value": 0.5, "max_value": 6}) for figure in COUNTS[1:]),
    ("unique_value_count_to_be_between", {"min_value": 2, "max_value": 6}),
    *(("values_to_be_in_set", {"value_set": values, "mostly": 0.4}) for values in SETS),
    *(("values_to_not_be_in_set", {"value_set": values}) for values in SETS),
    *(
        (f"distinct_values_to_{how}_set", {"value_set": values})
        for how in ("be_in", "contain")
        for values in SETS[:3]
    ),
    ("distinct_values_to_equal_set", {"value_set": ["AA", "UA", "", "Zürich", "a b", "nan"]}),
    *(("values_to_be_of_type", {"type_": name}) for name in TYPES),
    ("values_to_be_in_type_list", {"type_list": ["int64", "float64"]}),
    ("values_to_be_in_type_list", {"type_list": ["str"]}),
    ("value_lengths_to_be_between", {"min_value": 2, "max_value": 5}),
    ("value_lengths_to_equal", {"value": 2, "mostly": 0.3}),
    ("values_to_match_regex", {"regex": "^[A-Z]+$", "mostly": 0.2}),
    ("values_to_match_regex", {"regex": "("}),
    ("values_to_not_match_regex", {"regex": "A"}),
    (
        "quantile_values_to_be_between",
        {"quantile_ranges": {"quantiles": [0.1, 0.5], "value_ranges": [[None, 5], [-3, 4]]}},
    ),
    (
        "quantile_values_to_be_between",
        {"quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]}, "allow_relative_error": "linear"},
    ),
]
OF_THE_TABLE = [
    ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 299}),
    ("expect_table_row_count_to_equal", {"value": ROWS}),
    ("expect_table_column_count_to_equal", {"value": len(COLUMNS)}),
    ("expect_table_column_count_to_be_between", {"min_value": 100}),
    ("expect_table_columns_to_match_set", {"column_set": list(COLUMNS)}),
    ("expect_table_columns_to_match_set", {"column_set": list(COLUMNS)[1:], "exact_match": False}),
    ("expect_table_columns_to_match_ordered_list", {"column_list": list(COLUMNS)[::-1]}),
    ("expect_column_to_exist", {"column": "int"}),
    ("expect_column_to_exist", {"column": "int", "column_index": 3}),
]


def expecting(*pairs):
    return [{"type": kind, "kwargs": kwargs} for kind, kwargs in pairs]


def same(ours, theirs):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs or (isinstance(ours, float) and math.isnan(ours) and math.isnan(theirs))


def is_taken(expectation):
    from lifecycle.gates.data_quality.gx import Unreadable, loaded

    try:
        return bool(loaded(expectation))
    except Unreadable:
        return False


def both(expectations, frame):
    """Ours, None where it has to be judged on a sample, and Great Expectations' own."""
    from lifecycle.gates.data_quality.gx import validate
    from lifecycle.gates.data_quality.judge import judge_all_rows

    expectations = [each for each in expectations if is_taken(each)]
    ours = judge_all_rows(expectations, dataset_from_frame(frame, None))
    return list(zip(expectations, ours, validate(expectations, frame), strict=True))


def differing(pairs):
    return [
        (expectation, ours.finding, dict(ours.details), theirs.finding, dict(theirs.details))
        for expectation, ours, theirs in pairs
        if ours is not None
        and not (ours.finding is theirs.finding and same(dict(ours.details), dict(theirs.details)))
    ]


@pytest.mark.slow
@pytest.mark.parametrize("column", some(COLUMNS, *USUAL))
def test_a_column_of_all_rows_gives_what_great_expectations_says(column):
    expectations = expecting(*((f"expect_column_{kind}", {"column": column, **kw}) for kind, kw in EXPECTATIONS))
    assert differing(both(expectations, FRAME[[column]])) == []


@pytest.mark.slow
@pytest.mark.parametrize("column", ["float with gaps", "int", "text with gaps", "bool", "datetime"])
def test_every_expectation_that_is_derived_is_judged_from_all_rows(column):
    from lifecycle.gates.data_quality.profiler import derive_suite

    pairs = both(derive_suite(FRAME[[column]])["expectations"], FRAME[[column]])
    assert [expectation for expectation, ours, _ in pairs if ours is None] == []
    assert differing(pairs) == []


@pytest.mark.slow
def test_so_does_the_table():
    pairs = both(expecting(*OF_THE_TABLE), FRAME)
    assert [expectation for expectation, ours, _ in pairs if ours is None] == []
    assert differing(pairs) == []


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.lists(st.one_of(finite, st.just(float("nan")), st.sampled_from([0.0, 1.0, -1.0, np.inf])), min_size=3)


@pytest.mark.slow
@settings(max_examples=rounds(25, 5), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    values=values,
    ends=st.tuples(finite, finite),
    mostly=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
    strict=st.booleans(),
)
def test_whatever_the_numbers_and_bounds_are(values, ends, mostly, strict):
    low, high = sorted(ends)
    bounds = {"column": "x", "min_value": low, "max_value": high}
    figures = [(f"expect_column_{figure}_to_be_between", bounds) for figure in (*AGGREGATES, "unique_value_count")]
    expectations = expecting(
        ("expect_column_values_to_be_between", {**bounds, "mostly": mostly, "strict_min": strict}),
        ("expect_column_values_to_be_in_set", {"column": "x", "value_set": [low, 0, 1], "mostly": mostly}),
        ("expect_column_values_to_be_unique", {"column": "x", "mostly": mostly}),
        *figures,
    )
    assert differing(both(expectations, pd.DataFrame({"x": pd.Series(values, dtype=float)}))) == []


class Torn(FrameRows):
    """Rows of which one column cannot be had."""

    def column(self, name):
        if name == "bad":
            raise ArithmeticError
        return super().column(name)


@pytest.mark.slow
def test_a_column_that_breaks_takes_no_other_down():
    from lifecycle.gates.data_quality.judge import judge_all_rows

    rows = Dataset(Torn(pd.DataFrame({"bad": [1.0, 2.0], "good": [1.0, 2.0]})), None, "torn")
    expectations = expecting(
        *(("expect_column_values_to_be_unique", {"column": name}) for name in ("bad", "good"))
    )
    assert [str(result.finding) for result in judge_all_rows(expectations, rows)] == ["broke on these rows", "met"]


@pytest.mark.slow
@pytest.mark.parametrize("twice", [0, 1, 4])
def test_names_are_told_apart_however_many_there_are(twice):
    names = pd.Series([f"name {i}" for i in range(120_000)], name="x")
    names = pd.concat([names, names.head(twice), pd.Series([None, None], name="x")], ignore_index=True)
    expectations = expecting(
        ("expect_column_values_to_be_unique", {"column": "x"}),
        (
            "expect_column_unique_value_count_to_be_between",
            {"column": "x", "min_value": 120_000, "max_value": 120_000},
        ),
        ("expect_column_proportion_of_unique_values_to_be_between", {"column": "x", "min_value": 1}),
        ("expect_column_values_to_be_in_type_list", {"column": "x", "type_list": ["str"]}),
        ("expect_column_values_to_be_of_type", {"column": "x", "type_": "int"}),
        ("expect_column_values_to_not_be_null", {"column": "x"}),
    )
    pairs = both(expectations, names.to_frame())
    assert [expectation for expectation, ours, _ in pairs if ours is None] == []
    assert differing(pairs) == []
