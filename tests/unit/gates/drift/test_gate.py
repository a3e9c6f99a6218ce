"""The drift gate on real flights, and on what may be wrong with them."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lifecycle.data.read import read_dataset
from lifecycle.domain.charts import EmbeddedPage, Histogram
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.drift import DriftGate
from lifecycle.gates.run import explain_gates

RNG = np.random.default_rng(0)


def some(rows, share):
    """The first rows, as a mask."""
    return np.arange(len(rows)) < share * len(rows)


@pytest.mark.parametrize("month", range(7, 13))
def test_later_months_as_they_are_pass(judge_rows, flights, spring, month):
    verdict = judge_rows(spring, flights[flights.month == month][spring.columns])
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize("rows", [500, 999, 1001, 5000])
def test_the_verdict_does_not_hang_on_the_number_of_rows(judge_rows, spring, july, rows):
    # Evidently's own choice of method changes at 1000 rows.
    assert judge_rows(spring, july.sample(rows, random_state=rows)).outcome is Outcome.PASSED
    late = july.assign(dep_delay=july.dep_delay + 60).sample(rows, random_state=rows)
    assert judge_rows(spring, late).reason == "drift.column_exceeded"


def test_random_halves_of_one_month_are_never_drift(judge_rows, july):
    verdicts = []
    for seed in range(10):
        mixed = july.sample(2 * 600, random_state=seed)
        verdicts.append(judge_rows(mixed.head(600), mixed.tail(600)))
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASSED}
    assert sum(verdict.figures["drifted"] for verdict in verdicts) <= 2


@pytest.mark.parametrize(
    "shift",
    [
        lambda r: r[r.origin == "JFK"],
        lambda r: r[r.distance < 1000],
        lambda r: r.assign(dep_delay=r.dep_delay + 30, distance=r.distance * 1.3, hour=(r.hour + 5) % 24),
    ],
    ids=["one airport only", "short flights only", "three numbers moved"],
)
def test_shifted_months_fail_and_name_the_columns(judge_rows, spring, july, shift):
    verdict = judge_rows(spring, shift(july), max_target_distance=None)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "drift.share_exceeded")
    assert "'distance' (0." in verdict.message
    assert verdict.figures["drifted_share"] > 0.3


@pytest.mark.parametrize(
    ("defect", "column"),
    [
        (lambda r: r.assign(distance=r.distance * 1.609), "distance"),
        (lambda r: r.assign(dep_delay=r.dep_delay * 60), "dep_delay"),
        (lambda r: r.assign(origin=r.dest, dest=r.origin), "origin"),
        (lambda r: r.assign(carrier=r.carrier.mask(some(r, 0.1), "??")), "carrier"),
        (lambda r: r.assign(carrier=r.carrier.str.lower()), "carrier"),
        (lambda r: r.assign(distance=r.distance.mask(some(r, 0.2))), "distance"),
        (lambda r: r.assign(distance=r.distance.astype(float).mask(r.index == 7, np.inf)), "distance"),
        (lambda r: r.assign(hour=12), "hour"),
        (lambda r: r.assign(plane_age=None), "plane_age"),
    ],
    ids=[
        "miles to km",
        "minutes to seconds",
        "swapped",
        "garbage category",
        "lower case",
        "nulls",
        "one infinity",
        "constant",
        "all null",
    ],
)
def test_one_broken_column_fails_by_itself_and_by_name(judge_rows, spring, july, defect, column):
    verdict = judge_rows(spring, defect(july), max_drifted_share=0.9)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "drift.column_exceeded")
    assert f"'{column}' (" in verdict.message


def test_a_column_that_counts_months_can_be_left_out(judge_rows, flights):
    columns = ["month", "hour", "distance"]
    spring, july = (flights[flights.month.isin(months)][columns] for months in (range(1, 7), [7]))
    assert judge_rows(spring, july, max_drifted_share=0.5).reason == "drift.column_exceeded"
    assert judge_rows(spring, july, leave_out=["month"]).outcome is Outcome.PASSED


def test_as_many_columns_as_allowed_may_drift_and_are_named(judge_rows, spring, july):
    moved = july.assign(distance=july.distance + 200)
    assert judge_rows(spring, moved, columns=["distance", "hour"], max_drifted_share=0.4).outcome is Outcome.FAILED
    verdict = judge_rows(spring, moved, columns=["distance", "hour"], max_drifted_share=0.5)
    assert verdict.outcome is Outcome.PASSED
    assert "'distance'" in verdict.message


def test_the_models_inputs_are_compared_and_what_else_is_there_is_counted(candidate_of, subject_of, spring, july):
    candidate = candidate_of(lambda b: b["hour"], [{"name": "hour", "type": "long"}], example=None)
    subject = subject_of(candidate, spring, july.assign(distance=0, extra="?"))
    verdict = DriftGate(DriftGate.Options()).evaluate(subject)
    assert verdict.outcome is Outcome.PASSED
    assert (verdict.figures["columns"], verdict.figures["extra_columns"]) == (1, 1)


def test_all_rows_are_judged_and_not_a_sample(no_signature, subject_of, tmp_path):
    rows = pd.DataFrame({"x": RNG.normal(size=60_000)})
    rows.assign(x=rows.x.mask(rows.index == 31_416, np.inf)).to_parquet(tmp_path / "rows.parquet")
    current = read_dataset(str(tmp_path / "rows.parquet"), None)
    subject = replace(subject_of(no_signature, rows.head(5000)), load_current=lambda _: current)
    verdict = DriftGate(DriftGate.Options(sample_rows=500, max_prediction_distance=None)).evaluate(subject)
    assert verdict.outcome is Outcome.FAILED
    assert "'x' (infinite values" in verdict.message
    assert verdict.figures["current_rows"] == 60_000


def test_the_sample_and_its_seed_are_told(judge_rows, spring):
    first = judge_rows(spring, spring, sample_rows=1000, seed=3)
    assert (first.figures["sample_rows"], first.figures["seed"]) == (1000, 3)
    assert judge_rows(spring, spring, sample_rows=1000, seed=3) == first


def test_there_are_few_figures_however_many_columns(judge_rows):
    rows = pd.DataFrame({f"column {i}": RNG.normal(size=600) for i in range(60)})
    assert len(judge_rows(rows, rows).figures) <= 30


@pytest.mark.slow
def test_it_shows_what_moved_first_and_evidentlys_report(explain_rows, spring, july):
    *pictures, page = explain_rows(spring, july.assign(distance=july.distance * 1.2, plane_age=None))
    assert all(isinstance(picture, Histogram) for picture in pictures)
    assert {picture.column for picture in pictures if picture.moved} >= {"distance", "plane_age"}
    assert [picture.moved for picture in pictures] == sorted((p.moved for p in pictures), reverse=True)
    assert len(pictures) <= 12
    for picture in pictures:
        assert len(picture.labels) == len(picture.reference) == len(picture.current)
        assert sum(picture.reference) == pytest.approx(1)
        assert sum(picture.current) == pytest.approx(1)
    assert isinstance(page, EmbeddedPage)
    assert page.file_name == "evidently.html"
    assert "5,000 rows" in page.title


@pytest.mark.slow
def test_without_evidently_the_other_charts_are_there(no_signature, subject_of, spring, july, monkeypatch):
    monkeypatch.setitem(sys.modules, "evidently", None)  # as if it could not be imported
    gate = DriftGate(DriftGate.Options(max_prediction_distance=None))
    subject = subject_of(no_signature, spring, july)
    (explanation,) = explain_gates([gate], [gate.evaluate(subject)], subject)
    assert {type(chart) for chart in explanation.charts} == {Histogram}
    assert "evidently" in explanation.note


@pytest.mark.slow
def test_it_leaves_no_files_says_nothing_and_calls_nobody(explain_rows, flights, empty_home, capfd, calls_home):
    rows = flights[["hour", "carrier"]]
    explain_rows(rows, rows)
    assert list(empty_home.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert calls_home == []
