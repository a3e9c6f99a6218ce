"""On real models, compiled for real: what is compared is what promotion would serve."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lifecycle.codec import one_line
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.parity import ParityGate
from lifecycle.gates.subject import Candidate, NotLoaded
from lifecycle.scoring.equality import differences
from lifecycle.scoring.loader import load_scorer

slow = pytest.mark.slow  # imports MLflow, converts models
NUMBERS = ["dep_delay", "distance"]


@pytest.fixture(scope="session")
def departures(flights):
    rows = flights[[*NUMBERS, "carrier", "arr_delay"]].dropna().head(3000).reset_index(drop=True)
    return rows.astype({"distance": "float64", "carrier": "object"})


@pytest.fixture
def saved(tmp_path):
    """A model as MLflow saves it, fitted on some columns."""

    def save(model, inputs, labels):
        import mlflow.sklearn
        from mlflow.models import infer_signature

        model.fit(inputs, labels)
        mlflow.sklearn.save_model(
            model,
            str(tmp_path / "model"),
            signature=infer_signature(inputs, model.predict(inputs)),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )
        snapshot = Snapshot("a" * 64, tmp_path / "model")
        return Candidate(ModelVersion("m", 1), snapshot, lambda: load_scorer(snapshot.path))

    return save


def judge(subject, **options):
    return ParityGate(ParityGate.Options(**options)).evaluate(subject)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def by_carrier():
    encoder = OneHotEncoder(handle_unknown="ignore")
    return make_pipeline(
        make_column_transformer((encoder, ["carrier"]), remainder="passthrough"), LinearRegression()
    )


class Erratic(RegressorMixin, BaseEstimator):
    """Adds noise whenever it is asked."""

    def fit(self, inputs, labels):
        return self

    def predict(self, inputs):
        return np.random.default_rng().normal(size=len(inputs))


class Custom(Erratic):
    """Steady, but nothing that a converter knows."""

    def predict(self, inputs):
        return inputs["distance"].to_numpy() * 2


class Silent(Erratic):
    """Has no answer to anything."""

    def predict(self, inputs):
        return np.full(len(inputs), np.nan)


@slow
@pytest.mark.parametrize("model", [LogisticRegression(), LinearRegression()])
def test_classes_and_numbers_that_the_compiled_scorer_gives_too_pass(saved, subject_of, departures, model):
    labels = departures.arr_delay > 15 if isinstance(model, LogisticRegression) else departures.arr_delay
    candidate = saved(scaled(model), departures[NUMBERS], labels)
    verdict = judge(subject_of(candidate, departures, label="arr_delay"))
    assert (verdict.outcome, verdict.reason) == (Outcome.PASSED, "parity.passed"), verdict.message
    figures = verdict.figures
    assert (figures["rows"], figures["differing_rows"], figures["tolerance"]) == (3000, 0, 1e-6)
    assert 0 <= figures["largest_difference"] <= 1e-6
    assert "seed" not in figures


@pytest.fixture
def texts_apart(saved, departures):
    """A model for which a missing text and the text ``nan`` are two things; compiled they are one."""
    carriers = departures[["carrier", "distance"]].assign(carrier=departures.carrier.replace("UA", "nan"))
    candidate = saved(by_carrier(), carriers, departures.arr_delay)
    missing = departures.index % 10 == 0
    return candidate, carriers, carriers.assign(carrier=carriers.carrier.mask(missing, None)), missing.sum()


@slow
def test_other_answers_fail_with_how_many_and_by_how_much(texts_apart, subject_of):
    candidate, same, apart, count = texts_apart
    assert judge(subject_of(candidate, same)).outcome is Outcome.PASSED
    verdict = judge(subject_of(candidate, apart))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "parity.differs")
    assert verdict.figures["differing_rows"] == count == 300
    assert verdict.figures["largest_difference"] > 0.1
    assert "300 of 3,000 rows (10.0 %)" in verdict.message


@slow
def test_how_many_rows_may_differ_and_by_how_much_is_the_policys(texts_apart, subject_of):
    candidate, same, apart, _ = texts_apart
    assert judge(subject_of(candidate, apart), max_differing_share=0.1).outcome is Outcome.PASSED
    assert judge(subject_of(candidate, apart), max_differing_share=0.09).reason == "parity.differs"
    assert judge(subject_of(candidate, apart), tolerance=10).outcome is Outcome.PASSED
    assert judge(subject_of(candidate, same), tolerance=0).reason == "parity.differs"


@slow
def test_of_many_rows_a_seeded_sample_is_compared(texts_apart, subject_of):
    candidate, _, apart, _ = texts_apart
    one, same, other = (judge(subject_of(candidate, apart), max_rows=500, seed=seed).figures for seed in (1, 1, 2))
    assert (one["rows"], one["max_rows"], one["seed"]) == (500, 500, 1)
    assert one == same
    assert (
        one["largest_difference"] != other["largest_difference"]
        or one["differing_rows"] != other["differing_rows"]
    )


@slow
@pytest.mark.parametrize(
    ("model", "outcome", "reason"),
    [
        (Erratic(), Outcome.FAILED, "not_deterministic"),
        (Custom(), Outcome.INCONCLUSIVE, "not_compilable"),
        (Silent(), Outcome.INCONCLUSIVE, "no_predictions"),
    ],
)
def test_models_that_no_compiled_scorer_can_equal(saved, subject_of, departures, model, outcome, reason):
    candidate = saved(model, departures[NUMBERS], departures.arr_delay)
    verdict = judge(subject_of(candidate, departures, label="arr_delay"))
    assert (verdict.outcome, verdict.reason) == (outcome, f"parity.{reason}")


@slow
def test_a_compiled_scorer_that_raises_where_the_model_answers_fails(saved, subject_of, departures, candidate_of):
    carriers = departures[["carrier", "distance"]]
    compiled = saved(by_carrier(), carriers, departures.arr_delay)
    tolerant = candidate_of(lambda batch: batch["distance"]).load_scorer
    candidate = Candidate(compiled.version, compiled.snapshot, tolerant)
    half_a_character = pd.Series("\ud800", carriers.index, dtype=object)  # which UTF-8 cannot hold
    verdict = judge(subject_of(candidate, carriers.assign(carrier=half_a_character)))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "parity.compiled_raises")
    assert "\ud800" not in verdict.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "no_rows"),
        (lambda rows: rows.head(0), "too_few_rows"),
        (lambda rows: rows.head(99), "too_few_rows"),
        (lambda rows: rows.drop(columns="x"), "rows_do_not_fit"),
        (lambda rows: rows.assign(x="text"), "rows_do_not_fit"),
        (lambda rows: rows.assign(x=np.nan), "no_values"),
    ],
)
def test_it_never_passes_on_rows_that_it_cannot_compare(candidate_of, subject_of, change, reason):
    verdict = judge(subject_of(candidate_of(), change(pd.DataFrame({"x": np.arange(200.0)}))))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"parity.{reason}")


def test_a_model_without_signature_is_inconclusive(candidate_of, subject_of):
    verdict = judge(subject_of(candidate_of(columns=[], example=None), pd.DataFrame({"x": np.arange(200.0)})))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "parity.no_signature")


@slow
def test_without_reference_rows_the_current_ones_serve(saved, subject_of, departures):
    candidate = saved(scaled(LinearRegression()), departures[NUMBERS], departures.arr_delay)
    assert judge(subject_of(candidate, current=departures, label="arr_delay")).outcome is Outcome.PASSED


@slow
def test_a_model_that_may_not_be_loaded_is_not_compiled_either(saved, subject_of, departures):
    candidate = saved(scaled(LinearRegression()), departures[NUMBERS], departures.arr_delay)
    subject = subject_of(candidate, departures, label="arr_delay")
    subject.forbid_loading()
    with pytest.raises(NotLoaded):
        judge(subject)


@slow
def test_nothing_is_left_behind(empty_home, saved, subject_of, departures):
    candidate = saved(scaled(LinearRegression()), departures[NUMBERS], departures.arr_delay)
    before = set(empty_home.rglob("*"))
    judge(subject_of(candidate, departures, label="arr_delay"))
    assert set(empty_home.rglob("*")) == before


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        ([1.0, np.nan, np.inf], [1.0, np.nan, np.inf], [0, 0, 0]),
        ([1.0, 1.0, np.nan], [np.nan, np.inf, 1.0], [np.inf, np.inf, np.inf]),
        ([0.5, 2000.0], [0.25, 2001.0], [0.25, 0.0005]),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 5.0]], [0, 0.25]),
        ([["a"], [None]], [["a"], ["b"]], [0, np.inf]),
        ([True, False], [True, True], [0, np.inf]),
        ([1.0, 2.0], [[1.0], [2.0]], [np.inf, np.inf]),
    ],
)
def test_two_missing_answers_are_the_same_and_one_is_not(expected, got, difference):
    assert differences(np.array(expected), np.array(got)).tolist() == difference


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": -1}, "option 'tolerance'"),
        ({"tolerance": float("inf")}, "option 'tolerance'"),
        ({"max_differing_share": 1}, "option 'max_differing_share'"),
        ({"toleranse": 1}, "did you mean 'tolerance'"),
    ],
)
def test_options_that_allow_everything_are_refused(options, words):
    with pytest.raises(ValidationError) as refused:
        ParityGate.Options(**options)
    assert words in one_line(refused.value, ParityGate.Options)
