"""Each degenerate input has a verdict that docs/gates/drift.md tells, and none passes for want of data."""

import sys

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.verdict import Outcome

RNG = np.random.default_rng(0)
N = 2000
ROWS = pd.DataFrame({"x": RNG.normal(size=N), "t": RNG.choice(["a", "b", "c"], size=N)})
IDS = pd.DataFrame({"x": ROWS.x, "id": [f"id {i}" for i in range(N)]})
DAYS = ROWS.assign(x=pd.date_range("2013-01-01", periods=N))
INF = ROWS.x.mask(ROWS.index == 3, np.inf)


@pytest.mark.parametrize(
    ("reference", "current", "reason"),
    [
        (None, ROWS, "no_reference"),
        (ROWS, None, "no_current_data"),
        (ROWS, ROWS.head(0), "too_few_rows"),
        (ROWS, ROWS.head(1), "too_few_rows"),
        (ROWS, ROWS.head(499), "too_few_rows"),
        (ROWS.head(1), ROWS, "too_few_rows"),
        (ROWS[["x"]].assign(x=np.nan), ROWS[["x"]].assign(x=np.nan), "no_values"),
        (ROWS[[]], ROWS[[]], "no_values"),
    ],
)
def test_without_something_to_compare_it_is_inconclusive_and_costs_no_import(
    judge_rows, reference, current, reason
):
    before = "evidently" in sys.modules
    verdict = judge_rows(reference, current)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"drift.{reason}")
    assert ("evidently" in sys.modules) == before


def test_too_few_rows_say_how_many_would_do(judge_rows):
    assert "499 rows; 500 are needed" in judge_rows(ROWS, ROWS.head(499)).message


PASSED, FAILED, OPEN, ERROR = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.ERROR


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reference", "current", "outcome", "reason"),
    [
        pytest.param(ROWS, ROWS.head(500), PASSED, "passed", id="just enough rows"),
        pytest.param(ROWS, pd.concat([ROWS] * 3), PASSED, "passed", id="every row three times"),
        pytest.param(ROWS, ROWS.drop(columns="x"), FAILED, "missing_columns", id="a column is missing"),
        pytest.param(ROWS, ROWS[[]].assign(z=1), FAILED, "missing_columns", id="no column in common"),
        pytest.param(ROWS, ROWS.assign(z=1), PASSED, "passed", id="a column more"),
        pytest.param(ROWS, ROWS.assign(x=None), FAILED, "column_exceeded", id="all null now"),
        pytest.param(ROWS.assign(x=None), ROWS, FAILED, "column_exceeded", id="all null then"),
        pytest.param(ROWS.assign(x=None), ROWS.assign(x=None), PASSED, "passed", id="all null on both sides"),
        pytest.param(ROWS, ROWS.assign(x=ROWS.x.where(ROWS.x > 0)), FAILED, "column_exceeded", id="half null"),
        pytest.param(
            ROWS.assign(x=ROWS.x.where(ROWS.index < 20)),
            ROWS.assign(x=ROWS.x.where(ROWS.index < 20)),
            OPEN,
            "columns_unjudged",
            id="hardly a value",
        ),
        pytest.param(ROWS, ROWS.assign(x=INF), FAILED, "column_exceeded", id="one infinity now"),
        pytest.param(ROWS.assign(x=INF), ROWS, PASSED, "passed", id="one infinity then"),
        pytest.param(ROWS.assign(x=1), ROWS.assign(x=1), PASSED, "passed", id="constant on both sides"),
        pytest.param(ROWS.assign(x=1), ROWS.assign(x=2), FAILED, "column_exceeded", id="another constant"),
        pytest.param(ROWS, ROWS.assign(x=0.5), FAILED, "column_exceeded", id="constant now"),
        pytest.param(ROWS.assign(t="a"), ROWS, FAILED, "column_exceeded", id="one category then"),
        pytest.param(ROWS, ROWS.assign(t="z"), FAILED, "column_exceeded", id="only new categories"),
        pytest.param(IDS, IDS.assign(id="new " + IDS.id), OPEN, "columns_unjudged", id="identifiers"),
        pytest.param(ROWS, ROWS.assign(x=ROWS.x.astype(str)), FAILED, "type_changed", id="numbers as text"),
        pytest.param(ROWS, ROWS.assign(x=ROWS.x > 0), FAILED, "type_changed", id="numbers as true/false"),
        pytest.param(DAYS, ROWS.assign(x=DAYS.x.astype(str)), FAILED, "type_changed", id="datetimes as text"),
        pytest.param(
            ROWS.assign(x=DAYS.x.dt.tz_localize("UTC")), DAYS, FAILED, "type_changed", id="time zone lost"
        ),
        pytest.param(
            ROWS.assign(x=(ROWS.x * 9).round().astype(int)),
            ROWS.assign(x=(ROWS.x * 9).round().mask(ROWS.index < 9)),
            PASSED,
            "passed",
            id="whole numbers with gaps",
        ),
        pytest.param(
            ROWS.assign(x=np.arange(N).astype("uint64") + 2**63),
            ROWS.assign(x=np.arange(N).astype("uint64") + 2**63),
            PASSED,
            "passed",
            id="beyond 64 bits of sign and number",
        ),
        pytest.param(
            ROWS.assign(x=["a", 1] * (N // 2)),
            ROWS.assign(x=["a", 1] * (N // 2)),
            OPEN,
            "columns_unjudged",
            id="text and numbers mixed",
        ),
        pytest.param(
            ROWS.assign(x=[[1], [2]] * (N // 2)),
            ROWS.assign(x=[[1], [2]] * (N // 2)),
            OPEN,
            "columns_unjudged",
            id="lists",
        ),
        pytest.param(
            ROWS.assign(x=[b"a", b"b"] * (N // 2)),
            ROWS.assign(x=[b"a", b"b"] * (N // 2)),
            OPEN,
            "columns_unjudged",
            id="bytes",
        ),
        pytest.param(
            ROWS.assign(x=pd.Series([10**400] * N, dtype=object)),
            ROWS.assign(x=pd.Series([10**400] * N, dtype=object)),
            ERROR,
            "column_broke",
            id="a number of 400 digits",
        ),
    ],
)
def test_a_degenerate_input_has_the_verdict_that_is_documented(judge_rows, reference, current, outcome, reason):
    verdict = judge_rows(reference, current, max_drifted_share=0.5)
    assert (verdict.outcome, verdict.reason) == (outcome, f"drift.{reason}"), verdict.message


@pytest.mark.slow
def test_a_column_that_breaks_is_named_and_the_others_are_judged(judge_rows):
    broken = ROWS.assign(huge=pd.Series([10**400] * N, dtype=object))
    verdict = judge_rows(broken, broken)
    assert verdict.outcome is Outcome.ERROR
    assert "'huge' (OverflowError)" in verdict.message
    assert verdict.figures["distance.x"] == 0
    assert judge_rows(broken, broken.assign(x=broken.x + 5)).reason == "drift.share_exceeded"


@pytest.mark.slow
def test_a_column_that_cannot_be_judged_is_named_and_can_be_left_out(judge_rows):
    other = IDS.assign(id="new " + IDS.id)
    verdict = judge_rows(IDS, other)
    assert "'id' (chance alone" in verdict.message
    assert judge_rows(IDS, other, leave_out=["id"]).outcome is Outcome.PASSED
    assert judge_rows(IDS, other, columns=["x"]).outcome is Outcome.PASSED


def test_a_column_that_the_reference_lacks_is_inconclusive(judge_rows):
    verdict = judge_rows(ROWS, ROWS, columns=["x", "y"])
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "drift.not_in_reference")
    assert "'y'" in verdict.message


@pytest.mark.parametrize("leave_out", [["x", "t"], ["x", "t", "no such column"]])
def test_all_columns_left_out_is_inconclusive(judge_rows, leave_out):
    assert judge_rows(ROWS, ROWS, leave_out=leave_out).reason == "drift.no_values"
