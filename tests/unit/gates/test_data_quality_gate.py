import datetime
import json
import sys

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.charts import BarChart, EmbeddedPage
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.data_quality import DataQualityGate
from lifecycle.gates.run import Progress, explain_gates, run_gate

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
    assert "--current DATA" in judge(subject_of(suite=SUITE)).message


def test_a_missing_column_fails_by_name(subject_of):
    verdict = judge(subject_of(current=ROWS.rename(columns={"x": "y"}), suite=SUITE))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "data_quality.missing_columns")
    assert "'x'" in verdict.message


@pytest.fixture
def suite_file(tmp_path):
    """A file with a suite, or with whatever is given as text."""

    def write(suite):
        path = tmp_path / "expectations.json"
        path.write_text(suite if isinstance(suite, str) else json.dumps(suite))
        return str(path)

    return write


@pytest.mark.slow
def test_a_suite_in_a_file_counts_instead_of_the_logged_one(subject_of, suite_file):
    logged = expecting(("column_values_to_be_between", {"column": "x", "min_value": 1000}))
    file = suite_file(expecting(("column_values_to_be_between", {"column": "x", "min_value": 0})))
    assert judge(subject_of(current=ROWS, suite=logged)).outcome is Outcome.FAILED
    verdict = judge(subject_of(current=ROWS, suite=logged), suite=file)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.figures["suite"] != judge(subject_of(current=ROWS, suite=logged)).figures["suite"]


@pytest.mark.slow
def test_a_suite_as_great_expectations_writes_it_is_understood(subject_of, suite_file):
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations import ExpectColumnMaxToBeBetween, ExpectColumnValuesToNotBeNull

    suite = ExpectationSuite(
        "theirs",
        [
            ExpectColumnMaxToBeBetween(column="x", max_value=50, severity="warning", notes="never more"),
            ExpectColumnValuesToNotBeNull(column="x", mostly=0.9, meta={"owner": "ada"}),
        ],
    )
    written = {**suite.to_json_dict(), "id": "5a0c0c0e-0000-4000-8000-000000000000"}
    verdict = judge(subject_of(current=ROWS), suite=suite_file(written))
    assert verdict.message == "1 of 2 expectations are not met by today's rows: x: the largest value is above 50."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not a JSON file"),
        ("{", "not a JSON file"),
        ('{"expectations": [NaN]}', "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ("[]", "not a Great Expectations suite"),
        ('{"expectations": {"type": "x"}}', "not a Great Expectations suite"),
        (" " * (17 << 20), "larger than 16 MB"),
    ],
)
def test_a_file_that_is_no_suite_is_an_error_in_one_line(subject_of, suite_file, content, words):
    verdict = judge(subject_of(current=ROWS), suite=suite_file(content))
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "data_quality.bad_suite")
    assert words in verdict.message
    assert "expectations.json" in verdict.message


def test_a_file_that_is_not_there_is_inconclusive(subject_of, tmp_path):
    gate = DataQualityGate(DataQualityGate.Options(suite=str(tmp_path / "gone.json")))
    verdict = run_gate(gate, subject_of(current=ROWS), Progress())
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "data_quality.not_found")


BETWEEN = ("column_values_to_be_between", {"column": "x", "min_value": 0, "max_value": 1000})
IN_SET = ("column_values_to_be_in_set", {"column": "x", "value_set": ["a", "b"]})
NOT_NULL = ("column_values_to_not_be_null", {"column": "x"})
MANY = 2000
ZONED = pd.Series(pd.date_range("2013-01-01", periods=MANY, freq="h", tz="UTC"))
WHEN = ("column_values_to_be_between", {"column": "x", "min_value": "2013-01-01T00:00:00+00:00"})

DEGENERATE = {
    # what: (values of x, expectations, outcome, reason)
    "all null": (np.full(MANY, np.nan), [BETWEEN], "INCONCLUSIVE", "no_values"),
    "all null text": ([None] * MANY, [IN_SET], "INCONCLUSIVE", "no_values"),
    "all null, no distinct value": (
        [None] * MANY,
        [("column_distinct_values_to_be_in_set", {"column": "x", "value_set": ["a"]})],
        "INCONCLUSIVE",
        "no_values",
    ),
    "all null of the right type": (
        np.full(MANY, np.nan),
        [("column_values_to_be_of_type", {"column": "x", "type_": "float64"})],
        "INCONCLUSIVE",
        "no_values",
    ),
    "all null, nulls not allowed": ([None] * MANY, [NOT_NULL], "FAILED", "expectations_not_met"),
    "all null, as expected": ([None] * MANY, [("column_values_to_be_null", {"column": "x"})], "PASSED", "passed"),
    "an expectation without a type": (np.arange(MANY), [{"kwargs": {"column": "x"}}], "ERROR", "bad_suite"),
    "an expectation without arguments": (
        np.arange(MANY),
        [{"type": "expect_column_to_exist"}],
        "ERROR",
        "bad_suite",
    ),
    "an expectation that is a list": (np.arange(MANY), [["x"]], "ERROR", "bad_suite"),
    "a type that is a list": (np.arange(MANY), [{"type": ["x"], "kwargs": {}}], "ERROR", "bad_suite"),
    "an unknown expectation": (np.arange(MANY), [("column_to_be_nice", {"column": "x"})], "ERROR", "bad_suite"),
    "an unknown argument": (
        np.arange(MANY),
        [("column_to_exist", {"column": "x", "colour": "red"})],
        "ERROR",
        "bad_suite",
    ),
    "no bounds": (np.arange(MANY), [("column_values_to_be_between", {"column": "x"})], "ERROR", "bad_suite"),
    "mostly beyond 1": (
        np.arange(MANY),
        [("column_values_to_not_be_null", {"column": "x", "mostly": 7})],
        "ERROR",
        "bad_suite",
    ),
    "a parameter without a value": (
        np.arange(MANY),
        [("column_max_to_be_between", {"column": "x", "max_value": {"$PARAMETER": "top"}})],
        "ERROR",
        "bad_suite",
    ),
    "a regex that is none": (
        ["a", "b"] * (MANY // 2),
        [("column_values_to_match_regex", {"column": "x", "regex": "("})],
        "ERROR",
        "expectation_broke",
    ),
    "bounds that are the wrong way round": (
        np.arange(MANY),
        [("column_values_to_be_between", {"column": "x", "min_value": 2, "max_value": 1})],
        "ERROR",
        "expectation_broke",
    ),
    "one that broke and one that is not met": (
        ["a", "c"] * (MANY // 2),
        [IN_SET, ("column_values_to_match_regex", {"column": "x", "regex": "("})],
        "FAILED",
        "expectations_not_met",
    ),
    "infinity": (np.where(np.arange(MANY) == 7, np.inf, 1.0), [BETWEEN], "FAILED", "expectations_not_met"),
    "infinity in a spread": (
        np.where(np.arange(MANY) == 7, np.inf, np.arange(MANY)),
        [("column_stdev_to_be_between", {"column": "x", "min_value": 0})],
        "FAILED",
        "expectations_not_met",
    ),
    "huge whole numbers": (
        pd.Series([2**63 + i for i in range(MANY)], dtype="uint64"),
        [BETWEEN],
        "FAILED",
        "expectations_not_met",
    ),
    "whole numbers that no type holds": (
        pd.Series([2**80] * MANY, dtype=object),
        [BETWEEN],
        "FAILED",
        "expectations_not_met",
    ),
    "numbers among texts": (pd.Series([1, "a"] * (MANY // 2)), [BETWEEN], "ERROR", "expectation_broke"),
    "lists": (pd.Series([[1], [2]] * (MANY // 2)), [IN_SET], "FAILED", "expectations_not_met"),
    "bytes": (pd.Series([b"a", b"b"] * (MANY // 2)), [IN_SET], "FAILED", "expectations_not_met"),
    "10,000 categories": (
        [f"c{i}" for i in range(10_000)],
        [("column_values_to_be_in_set", {"column": "x", "value_set": [f"c{i}" for i in range(10_000)]})],
        "PASSED",
        "passed",
    ),
    "numbers as text": (np.arange(MANY).astype(str), [BETWEEN], "ERROR", "expectation_broke"),
    "true/false as 0 and 1": (
        [0, 1] * (MANY // 2),
        [("column_values_to_be_in_type_list", {"column": "x", "type_list": ["bool"]})],
        "FAILED",
        "expectations_not_met",
    ),
    "a time zone, as expected": (ZONED, [WHEN], "PASSED", "passed"),
    "a time zone that is gone": (ZONED.dt.tz_localize(None), [WHEN], "ERROR", "expectation_broke"),
    "dates beyond what nanoseconds express": (
        pd.Series([datetime.date(9999, 12, 31)] * MANY),
        [("column_values_to_be_between", {"column": "x", "max_value": "2050-01-01"})],
        "FAILED",
        "expectations_not_met",
    ),
    "the same expectation twice": (np.arange(MANY) % 100, [BETWEEN, BETWEEN], "PASSED", "passed"),
}


@pytest.mark.slow
@pytest.mark.parametrize("sample_rows", [100_000, 1000], ids=["all rows given", "a column at a time"])
@pytest.mark.parametrize("what", DEGENERATE)
def test_degenerate_input_has_a_clear_verdict(subject_of, what, sample_rows):
    values, expectations, outcome, reason = DEGENERATE[what]
    expectations = [e if not isinstance(e, tuple) else expecting(e)["expectations"][0] for e in expectations]
    subject = subject_of(current=pd.DataFrame({"x": values}), suite={"expectations": expectations})
    gate = DataQualityGate(DataQualityGate.Options(sample_rows=sample_rows))
    verdict = run_gate(gate, subject, Progress())
    assert (verdict.outcome, verdict.reason) == (outcome, f"data_quality.{reason}"), verdict.message
    assert "\n" not in verdict.message


def test_columns_that_cannot_be_told_apart_are_an_error_in_one_line(subject_of):
    twice = pd.DataFrame(np.ones((MANY, 2)), columns=["x", "x"])
    gate = DataQualityGate(DataQualityGate.Options())
    verdict = run_gate(gate, subject_of(current=twice, suite=expecting(BETWEEN)), Progress())
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "data_quality.error")
    assert "column 'x' occurs twice" in verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("sample_rows", [1000, 100_000])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"row_condition": "@pd.io.common.os.system('touch {}') == 0", "condition_parser": "pandas"},
        {"row_condition": "x == @pd.io.common.os.system('touch {}')", "condition_parser": "great_expectations"},
        {
            "row_condition": {
                "type": "pass_through",
                "pass_through_filter": "@pd.io.common.os.system('touch {}') == 0",
            }
        },
    ],
)
def test_a_suite_cannot_run_code(subject_of, tmp_path, kwargs, sample_rows):
    trace = tmp_path / "ran"
    kwargs = json.loads(json.dumps(kwargs).replace("{}", str(trace)))
    suite = expecting(("column_max_to_be_between", {"column": "x", "max_value": 10**6, **kwargs}))
    verdict = judge(subject_of(current=LARGE, suite=suite), sample_rows=sample_rows)
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "data_quality.bad_suite")
    assert "row_condition" in verdict.message
    assert not trace.exists()


@pytest.mark.slow
def test_a_suite_cannot_reach_out(subject_of, calls_home):
    schemas = [
        {"$ref": "#/definitions/a", "definitions": {"a": {"type": "number"}}},
        {"$ref": "http://127.0.0.1:9/s"},
    ]
    for schema, outcome in zip(schemas, ("PASSED", "ERROR"), strict=True):
        suite = expecting(("column_values_to_match_json_schema", {"column": "x", "json_schema": schema}))
        assert judge(subject_of(current=pd.DataFrame({"x": ["1"] * 200}), suite=suite)).outcome == outcome
    assert calls_home == []


@pytest.mark.slow
def test_columns_that_nobody_expects_are_counted_and_do_no_harm(subject_of):
    current = ROWS.assign(y=1, z="a", late=True)
    suite = expecting(("column_max_to_be_between", {"column": "x", "max_value": 1e9}))
    verdict = judge(subject_of(current=current, suite=suite))
    assert (verdict.outcome, verdict.figures["extra_columns"]) == (Outcome.PASSED, 2)


@pytest.mark.slow
def test_a_suite_that_asks_after_no_value_judges_nothing(subject_of):
    suite = expecting(("column_to_exist", {"column": "x"}), ("table_row_count_to_be_between", {"min_value": 1}))
    verdict = judge(subject_of(current=ROWS, suite=suite))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "data_quality.no_values")


@pytest.mark.slow
def test_others_are_judged_where_one_cannot_be_read(subject_of):
    suite = expecting(
        ("column_to_be_nice", {"column": "x"}), ("column_max_to_be_between", {"column": "x", "max_value": 9})
    )
    verdict = judge(subject_of(current=ROWS, suite=suite))
    assert (verdict.outcome, verdict.figures["broke"]) == (Outcome.FAILED, 1)
    assert "x: the largest value is above 9" in verdict.message


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


# More rows than Great Expectations is given

LARGE = pd.DataFrame({"x": np.arange(5000), "y": np.arange(5000), "text": ["a", "b"] * 2500})


@pytest.mark.slow
def test_one_row_in_thousands_is_found_whatever_the_sample(subject_of):
    suite = expecting(("column_values_to_be_in_set", {"column": "text", "value_set": ["a", "b"]}))
    for row in range(0, 5000, 1250):
        current = LARGE.assign(text=LARGE.text.mask(LARGE.index == row, "c"))
        verdict = judge(subject_of(current=current, suite=suite), sample_rows=1000)
        assert verdict.reason == "data_quality.expectations_not_met"
        assert (verdict.figures["rows"], verdict.figures["sampled_expectations"]) == (5000, 0)


@pytest.mark.slow
def test_the_derived_suite_needs_no_sample_and_says_the_same_of_a_column_at_a_time(subject_of, july, spring_suite):
    for current in (july, july.assign(distance=july.distance * 1.609, hour=july.hour.mask(july.index % 9 == 0))):
        given, counted = (
            judge(subject_of(current=current, suite=spring_suite), sample_rows=rows) for rows in (100_000, 1000)
        )
        assert counted == given


@pytest.mark.slow
def test_what_only_a_sample_can_answer_says_so_with_its_seed(subject_of):
    pair = ("column_pair_values_to_be_equal", {"column_A": "x", "column_B": "y"})
    suite = expecting(pair, ("column_max_to_be_between", {"column": "x", "max_value": 5000}))
    verdict = judge(subject_of(current=LARGE, suite=suite), sample_rows=1000, seed=7)
    assert verdict.outcome is Outcome.PASSED
    assert "1 of them were judged on 1,000 rows drawn at random" in verdict.message
    told = {key: verdict.figures[key] for key in ("sampled_expectations", "sample_rows", "seed")}
    assert told == {"sampled_expectations": 1, "sample_rows": 1000, "seed": 7}


@pytest.mark.slow
@pytest.mark.parametrize(
    "expectation",
    [
        ("compound_columns_to_be_unique", {"column_list": ["x", "text"]}),
        ("column_sum_to_be_between", {"column": "text", "min_value": 0}),
    ],
)
def test_what_a_sample_cannot_answer_is_inconclusive_and_says_what_would_do(subject_of, expectation):
    subject = subject_of(current=LARGE, suite=expecting(expectation))
    verdict = judge(subject, sample_rows=1000)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "data_quality.needs_all_rows")
    assert "sample_rows to 5,000" in verdict.message
    assert judge(subject, sample_rows=5000).reason != verdict.reason


# What goes with the verdict


def charts(subject, kind, **options):
    gate = DataQualityGate(DataQualityGate.Options(**options))
    return [chart for chart in gate.explain(subject, gate.evaluate(subject)) if isinstance(chart, kind)]


@pytest.mark.slow
def test_great_expectations_own_report_goes_with_it_and_loads_nothing(subject_of, july, spring_suite):
    (page,) = charts(subject_of(current=july, suite=spring_suite), EmbeddedPage)
    assert page.file_name == "great_expectations.html"
    assert "plane_age" in page.html
    assert "values must not be null" in page.html
    for foreign in ("<script", "<link", "<img", "http:", "https:", "//", "url(", "onclick", "href", "src="):
        assert foreign not in page.html.lower()


HOSTILE = "</td></script><script>alert(1)</script>$min_value {{7*7}} &lt;b&gt;"


@pytest.mark.slow
def test_names_and_categories_cannot_break_out_of_the_report(subject_of):
    suite = expecting(
        ("column_values_to_be_in_set", {"column": HOSTILE, "value_set": [HOSTILE, "a"]}),
        ("column_values_to_match_regex", {"column": HOSTILE, "regex": HOSTILE}),
        ("table_columns_to_match_set", {"column_set": [HOSTILE, "x"]}),
    )
    (page,) = charts(subject_of(current=pd.DataFrame({HOSTILE: ["a"] * 200}), suite=suite), EmbeddedPage)
    assert "alert(1)" in page.html
    for markup in ("<script", "alert(1)<", "</td></", "{{", "$min_value", "&lt;b", "<b>"):
        assert markup not in page.html.replace("</td></tr>", "")


@pytest.mark.slow
def test_the_report_holds_no_row(subject_of):
    rows = pd.DataFrame({"x": ["hush", "a"] * 100, "n": [918273.0, 1.0] * 100})
    suite = expecting(
        ("column_values_to_be_in_set", {"column": "x", "value_set": ["a"]}),
        ("column_values_to_match_regex", {"column": "x", "regex": "^a"}),
        ("column_distinct_values_to_equal_set", {"column": "x", "value_set": ["a"]}),
        ("column_most_common_value_to_be_in_set", {"column": "x", "value_set": ["a"]}),
        ("column_max_to_be_between", {"column": "x", "max_value": 5}),
        ("column_max_to_be_between", {"column": "n", "max_value": 5}),
        ("column_values_to_be_between", {"column": "x", "max_value": 5}),
        ("column_values_to_be_in_set", {"column": "n", "value_set": [1]}),
        (
            "column_kl_divergence_to_be_less_than",
            {"column": "x", "threshold": 0.1, "partition_object": {"values": ["a", "b"], "weights": [0.5, 0.5]}},
        ),
    )
    for sample_rows in (1000, 100_000):
        subject = subject_of(current=pd.concat([rows] * 6), suite=suite)
        (page,) = charts(subject, EmbeddedPage, sample_rows=sample_rows)
        verdict = judge(subject, sample_rows=sample_rows)
        said = f"{page.html} {verdict.message} {verdict.figures}"
        assert "hush" not in said
        assert "918" not in said


@pytest.mark.slow
def test_without_that_report_the_other_charts_are_there(subject_of, july, spring_suite, monkeypatch):
    subject = subject_of(current=july, suite=spring_suite)
    monkeypatch.setattr("great_expectations.render.view.DefaultJinjaPageView.render", None)
    gate = DataQualityGate(DataQualityGate.Options())
    (explanation,) = explain_gates([gate], [gate.evaluate(subject)], subject)
    assert {type(chart) for chart in explanation.charts} == {BarChart}
    assert "TypeError" in explanation.note


@pytest.mark.slow
def test_shares_are_shown_worst_first_beside_what_may_be(subject_of, july, spring_suite):
    broken = july.assign(
        hour=july.hour.mask(july.index % 4 == 0), carrier=july.carrier.mask(july.index % 5 == 0, "?")
    )
    nulls, unexpected = charts(subject_of(current=broken, suite=spring_suite), BarChart)
    assert [(bar.label, round(bar.value, 2), bar.note) for bar in nulls.bars if bar.bad] == [
        ("hour", 25.0, "2.0 % allowed")
    ]
    assert [(bar.label, round(bar.value, 2)) for bar in unexpected.bars if bar.bad] == [
        ("carrier: to be in set", 20.0)
    ]
    assert (nulls.bars[0].bad, unexpected.bars[0].bad) == (True, True)


@pytest.mark.slow
def test_no_row_is_logged_where_great_expectations_breaks_on_it(subject_of, caplog):
    suite = expecting(("column_max_to_be_between", {"column": "x", "max_value": 5}), BETWEEN)
    caplog.set_level("INFO")
    for sample_rows in (1000, 100_000):
        current = pd.DataFrame({"x": pd.Series(["hush", 3] * 1000)})
        assert judge(subject_of(current=current, suite=suite), sample_rows=sample_rows).outcome is Outcome.ERROR
    assert "hush" not in caplog.text
