"""Limits that nothing misses and that nothing keeps: how fast this machine is decides no test."""

import os
import sys

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifecycle.codec import one_line
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.latency import LatencyGate
from lifecycle.gates.subject import Candidate, NotLoaded
from lifecycle.scoring.loader import load_scorer
from tests.proof import some

slow = pytest.mark.slow  # imports MLflow, converts models, starts processes
NUMBERS = ["dep_delay", "distance"]
TIMES = ("p50_ms", "p99_ms", "batch_p50_ms", "batch_p99_ms")
GENEROUS = 1e6


@pytest.fixture(scope="session")
def departures(flights):
    rows = flights[[*NUMBERS, "arr_delay"]].dropna().head(2000).reset_index(drop=True)
    return rows.astype({"distance": "float64"})


@pytest.fixture
def saved(tmp_path, departures):
    """A model as MLflow saves it, with an input example."""

    def save(model):
        import cloudpickle
        import mlflow.sklearn
        from mlflow.models import infer_signature

        cloudpickle.register_pickle_by_value(sys.modules[__name__])  # another process loads what is in here
        inputs = departures[NUMBERS]
        model.fit(inputs, departures.arr_delay)
        mlflow.sklearn.save_model(
            model,
            str(tmp_path / "model"),
            signature=infer_signature(inputs, np.zeros(len(inputs))),
            input_example=inputs.head(3),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
        snapshot = Snapshot("a" * 64, tmp_path / "model")
        return Candidate(ModelVersion("m", 1), snapshot, lambda: load_scorer(snapshot.path))

    return save


def judge(subject, **options):
    return LatencyGate(LatencyGate.Options(**options)).evaluate(subject)


def compilable():
    return make_pipeline(StandardScaler(), LinearRegression())


class Custom(RegressorMixin, BaseEstimator):
    """Nothing that a converter knows."""

    def fit(self, inputs, labels):
        return self

    def predict(self, inputs):
        return inputs["distance"].to_numpy() * 2


class NeedsCompany(Custom):
    """Raises on a single row."""

    def predict(self, inputs):
        if len(inputs) == 1:
            raise ValueError("hush")
        return super().predict(inputs)


class Dies(Custom):
    """Takes its process down after having answered a batch."""

    def predict(self, inputs):
        if len(inputs) == 1:
            os.abort()
        return super().predict(inputs)


@slow
def test_within_every_limit_it_passes_and_shows_what_it_measured_and_on_what(saved, subject_of, departures):
    limits = dict.fromkeys((*TIMES, "max_mib_disk", "max_mib_memory"), GENEROUS)
    verdict = judge(subject_of(saved(compilable()), departures), batch_rows=500, **limits)
    assert (verdict.outcome, verdict.reason) == (Outcome.PASSED, "latency.passed"), verdict.message
    figures = verdict.figures
    assert (figures["scorer"], figures["batch_rows"], figures["repeats"]) == ("compiled", 500, 100)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert 0 < figures["batch_p50_ms"] <= figures["batch_p99_ms"]
    assert figures["mib_disk"] > 0
    assert figures["mib_memory"] > 1
    assert {figures[f"max_{name}"] for name in TIMES} == {figures["max_mib_disk"]} == {GENEROUS}


@slow
@pytest.mark.parametrize(
    ("limit", "reason"),
    some(
        [
            ("p99_ms", "too_slow"),
            ("batch_p50_ms", "too_slow"),
            ("max_mib_disk", "too_large"),
            ("max_mib_memory", "too_large"),
        ],
        ("batch_p50_ms", "too_slow"),
        ("max_mib_memory", "too_large"),
    ),
)
def test_beyond_any_one_limit_it_fails_by_name(saved, subject_of, departures, limit, reason):
    generous = dict.fromkeys((*TIMES, "max_mib_disk", "max_mib_memory"), GENEROUS)
    verdict = judge(subject_of(saved(compilable()), departures), batch_rows=2, **generous | {limit: 1e-9})
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, f"latency.{reason}")
    assert limit.removeprefix("max_") in verdict.message
    assert verdict.message.count("allowed") == 1


@slow
def test_what_cannot_be_compiled_is_measured_as_it_would_be_served(saved, subject_of, departures):
    verdict = judge(subject_of(saved(Custom()), departures), p99_ms=GENEROUS, batch_rows=2)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.figures["scorer"] == "pyfunc"
    assert "pyfunc" in verdict.message


@slow
def test_the_pictures_hold_each_time_against_its_limit(saved, subject_of, departures):
    subject = subject_of(saved(compilable()), departures)
    gate = LatencyGate(LatencyGate.Options(p99_ms=1e-9, batch_p99_ms=GENEROUS, batch_rows=7))
    one, batch = gate.explain(subject, gate.evaluate(subject))
    assert [one.title, batch.title] == ["Milliseconds to score one row", "Milliseconds to score 7 rows"]
    assert (one.limit, batch.limit) == (1e-9, GENEROUS)
    assert [[bar.bad for bar in picture.bars] for picture in (one, batch)] == [[False, True], [False, False]]


@slow
@pytest.mark.parametrize("rows", some([None, "none", "empty"], "empty"))
def test_without_reference_rows_the_input_example_serves(saved, subject_of, departures, rows):
    reference = {"none": departures.head(0), "empty": departures.assign(dep_delay=np.nan, distance=np.nan)}.get(
        rows
    )
    assert judge(subject_of(saved(compilable()), reference), p99_ms=GENEROUS).outcome is Outcome.PASSED


@slow
@pytest.mark.parametrize(("model", "words"), [(NeedsCompany(), "raises ValueError"), (Dies(), "signal SIGABRT")])
def test_a_model_that_does_not_get_through_is_an_error_and_not_quoted(saved, subject_of, departures, model, words):
    verdict = judge(subject_of(saved(model), departures), p99_ms=GENEROUS)
    assert (verdict.outcome, verdict.reason) == (Outcome.ERROR, "latency.not_measured")
    assert words in verdict.message
    assert "hush" not in verdict.message


@pytest.mark.parametrize(
    ("candidate", "rows", "reason"),
    [
        ({"example": None}, None, "no_rows"),
        ({"example": []}, None, "no_rows"),
        ({"example": [["text"]]}, None, "rows_do_not_fit"),
        ({}, {"y": [1.0]}, "rows_do_not_fit"),
        ({"columns": [], "example": None}, None, "no_signature"),
    ],
)
def test_it_never_passes_without_rows_to_score(candidate_of, subject_of, candidate, rows, reason, flights):
    reference = None if rows is None else flights.head(1)[["distance"]].assign(**rows)
    verdict = judge(subject_of(candidate_of(**candidate), reference), p99_ms=GENEROUS)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"latency.{reason}")


@slow
def test_a_model_that_may_not_be_loaded_is_not_measured(saved, subject_of, departures):
    subject = subject_of(saved(compilable()), departures)
    subject.forbid_loading()
    with pytest.raises(NotLoaded):
        judge(subject, p99_ms=GENEROUS)


@slow
def test_nothing_is_left_behind(empty_home, saved, subject_of, departures):
    candidate = saved(compilable())
    before = set(empty_home.rglob("*"))
    judge(subject_of(candidate, departures), p99_ms=GENEROUS, batch_rows=2)
    assert set(empty_home.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no limit is set: give one of p50_ms, p99_ms"),
        ({"batch_rows": 10}, "no limit is set"),
        ({"p99_ms": 0}, "option 'p99_ms'"),
        ({"p99_ms": float("inf")}, "option 'p99_ms'"),
        ({"p99_ms": 20, "repeats": 99}, "option 'repeats'"),
        ({"p99": 20}, "did you mean 'p99_ms'"),
    ],
)
def test_options_that_demand_nothing_are_refused(options, words):
    with pytest.raises(ValidationError) as refused:
        LatencyGate.Options(**options)
    assert words in one_line(refused.value, LatencyGate.Options)
