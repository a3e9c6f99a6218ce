import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from lifecycle.codec import one_line
from lifecycle.domain.verdict import Outcome
from lifecycle.gates.performance import PerformanceGate


@pytest.fixture
def rows(rng):
    """400 rows whose label follows x with some noise: x alone has an AUC of about 0.85."""
    x = rng.normal(size=400)
    return pd.DataFrame({"x": x, "late": (x + rng.normal(size=400)) > 0})


def good(batch):
    return 1 / (1 + np.exp(-batch["x"]))


def reversed_(batch):
    return 1 - good(batch)


def judge(subject, **options):
    return gate(**options).evaluate(subject)


def gate(**options):
    return PerformanceGate(PerformanceGate.Options(**{"metric": "roc_auc", "min": 0.7} | options))


def test_a_good_model_passes_with_its_figures(candidate_of, subject_of, rows):
    verdict = judge(subject_of(candidate_of(good), rows))
    assert (verdict.outcome, verdict.reason) == (Outcome.PASSED, "performance.passed")
    assert 0.8 < verdict.figures["value"] < 0.9
    assert (verdict.figures["rows"], verdict.figures["min"]) == (400, 0.7)


def test_a_bad_model_fails_with_what_was_measured_and_what_was_demanded(candidate_of, subject_of, rows):
    verdict = judge(subject_of(candidate_of(reversed_), rows))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "performance.below_min")
    assert "at least 0.7" in verdict.message


def test_a_metric_that_is_better_when_lower_has_a_ceiling(candidate_of, subject_of, rows):
    labelled = rows.assign(late=rows.x * 2)
    subject = subject_of(candidate_of(), labelled)
    assert judge(subject, metric="mae", min=None, max=1.0).outcome is Outcome.PASSED
    assert judge(subject, metric="mae", min=None, max=0.1).reason == "performance.above_max"


def test_labelled_current_rows_beat_the_reference_and_unlabelled_ones_do_not(candidate_of, subject_of, rows):
    worse = rows.assign(late=rng_labels(rows))
    candidate = candidate_of(good)
    assert judge(subject_of(candidate, rows, worse)).outcome is Outcome.FAILED
    assert judge(subject_of(candidate, rows, worse.drop(columns="late"))).outcome is Outcome.PASSED


def rng_labels(rows):
    return np.random.default_rng(1).random(len(rows)) > 0.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: None, "no_labels"),
        (lambda rows: rows.drop(columns="late"), "no_labels"),
        (lambda rows: rows.assign(late=None), "no_labels"),
        (lambda rows: rows.head(0), "no_labels"),
        (lambda rows: rows.head(199), "too_few_rows"),
        (lambda rows: rows.assign(late=rows.late.where(rows.index < 50)), "too_few_rows"),
        (lambda rows: rows.assign(late=True), "one_class"),
        (lambda rows: rows.drop(columns="x"), "rows_do_not_fit"),
        (lambda rows: rows.assign(x="text"), "rows_do_not_fit"),
    ],
)
def test_it_never_passes_on_rows_that_it_cannot_judge(candidate_of, subject_of, rows, change, reason):
    verdict = judge(subject_of(candidate_of(good), change(rows)))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, f"performance.{reason}")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (lambda rows: [[1]] * len(rows), "labels_unusable"),
        (lambda rows: pd.to_datetime("2013-01-01") + pd.to_timedelta(rows.x, "D"), "labels_unusable"),
        (lambda rows: "a" + rows.late.astype(str), "passed"),
        (lambda rows: rows.late.astype("boolean").where(rows.index < 300), "passed"),
        (lambda rows: rows.late.astype("category"), "passed"),
    ],
)
def test_labels_of_any_type_are_classes_or_said_to_be_none(candidate_of, subject_of, rows, labels, reason):
    verdict = judge(subject_of(candidate_of(good), rows.assign(late=labels(rows))))
    assert verdict.reason == f"performance.{reason}"


def test_a_model_that_answers_too_few_rows_is_inconclusive(candidate_of, subject_of, rows):
    verdict = judge(subject_of(candidate_of(lambda batch: good(batch)[:300]), rows))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "performance.rows_differ")


def test_of_many_rows_a_seeded_sample_is_scored_in_parts(candidate_of, subject_of, rng):
    x = rng.normal(size=60_000)
    many = pd.DataFrame({"x": x, "late": (x + rng.normal(size=60_000)) > 0})
    sizes = []

    def counting(batch):
        sizes.append(len(batch["x"]))
        return good(batch)

    subject = subject_of(candidate_of(counting), many)
    figures = judge(subject, max_rows=50_000, seed=7).figures
    assert {key: figures[key] for key in ("rows", "labelled_rows", "max_rows", "seed")} == {
        "rows": 50_000,
        "labelled_rows": 60_000,
        "max_rows": 50_000,
        "seed": 7,
    }
    assert sum(sizes) == 50_000
    assert max(sizes) <= 20_000
    assert judge(subject, max_rows=50_000, seed=8).figures["value"] != figures["value"]
    assert "seed" not in judge(subject).figures


def test_where_few_rows_have_a_label_more_are_drawn(candidate_of, subject_of, rng):
    x = rng.normal(size=40_000)
    few = pd.DataFrame({"x": x, "late": pd.Series(x > 0).astype("boolean").where(rng.random(40_000) < 0.2)})
    figures = judge(subject_of(candidate_of(good), few), max_rows=2000).figures
    assert 1800 < figures["rows"] <= 2000
    assert figures["labelled_rows"] == few.late.notna().sum()


def test_the_value_has_an_interval_and_the_point_decides(candidate_of, subject_of, rows):
    subject = subject_of(candidate_of(good), rows)
    figures = judge(subject).figures
    assert figures["low"] < figures["value"] < figures["high"]
    assert figures["confidence"] == 0.95
    assert judge(subject, confidence=0.5).figures["low"] > figures["low"]
    assert judge(subject, min=figures["value"] + 1e-6).outcome is Outcome.FAILED
    labelled = rows.assign(late=rows.x * 2)
    assert (
        "low"
        not in judge(subject_of(candidate_of(version=2), labelled), metric="max_error", min=None, max=9).figures
    )


def test_the_picture_shows_both_versions_with_their_intervals_and_the_limit(candidate_of, subject_of, rows):
    subject = subject_of(candidate_of(reversed_, version=2), rows, champion=candidate_of(good, version=1))
    performance = gate(max_drop_vs_champion=0.01)
    (picture,) = performance.explain(subject, performance.evaluate(subject))
    assert (picture.title, picture.limit) == ("roc_auc on all rows", 0.7)
    assert [(bar.label, bar.bad) for bar in picture.bars] == [
        ("candidate", True),
        ("champion, version 1", False),
    ]
    assert all(bar.low < bar.value < bar.high for bar in picture.bars)


def test_predictions_that_are_not_finite_are_inconclusive(candidate_of, subject_of, rows):
    verdict = judge(subject_of(candidate_of(lambda batch: batch["x"] * np.nan), rows))
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "performance.predictions_not_finite")


def test_named_output_columns_are_inconclusive_unless_there_is_one(candidate_of, subject_of, rows):
    one = candidate_of(lambda batch: {"score": good(batch)}, version=1)
    two = candidate_of(lambda batch: {"score": good(batch), "other": good(batch)}, version=2)
    assert judge(subject_of(one, rows)).outcome is Outcome.PASSED
    assert judge(subject_of(two, rows)).reason == "performance.several_outputs"


def test_the_label_never_reaches_the_model(candidate_of, subject_of, rows):
    seen = []

    def peeking(batch):
        seen.extend(batch)
        return good(batch)

    judge(subject_of(candidate_of(peeking), rows))
    assert seen == ["x"]


def test_worse_than_the_champion_fails_beyond_what_is_allowed(candidate_of, subject_of, rows):
    champion = candidate_of(good, version=1)
    noise = np.random.default_rng(2).normal(size=400)
    worse = candidate_of(lambda batch: 1 / (1 + np.exp(-batch["x"] - noise)), version=2)
    subject = subject_of(worse, rows, champion=champion)
    verdict = judge(subject, max_drop_vs_champion=0.01)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "performance.worse_than_champion")
    assert "version 1" in verdict.message
    assert verdict.figures["drop"] > 0.01
    assert judge(subject, max_drop_vs_champion=0.5).outcome is Outcome.PASSED
    assert judge(subject).outcome is Outcome.PASSED


def test_a_first_version_has_no_champion_to_beat_and_needs_a_threshold(candidate_of, subject_of, rows):
    subject = subject_of(candidate_of(good), rows)
    assert judge(subject, max_drop_vs_champion=0.01).outcome is Outcome.PASSED
    verdict = judge(subject, min=None, max_drop_vs_champion=0.01)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "performance.no_champion")


def test_a_champion_that_cannot_score_the_rows_leaves_it_open(candidate_of, subject_of, rows):
    champion = candidate_of(good, columns=[{"name": "y", "type": "double", "required": True}], version=1)
    subject = subject_of(candidate_of(good, version=2), rows, champion=champion)
    verdict = judge(subject, max_drop_vs_champion=0.01)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "performance.champion_unmeasurable")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "roc_acu", "min": 0.7}, "did you mean 'roc_auc'?"),
        ({"metric": "mean_absolut_error", "max": 0.7}, "did you mean 'mean_absolute_error'?"),
        ({"metric": "rmse", "min": 0.7}, "use 'max' and not 'min'"),
        ({"metric": "f1", "max": 0.7}, "use 'min' and not 'max'"),
        ({"metric": "f1"}, "no limit is set"),
        ({"metric": "f1", "min": float("nan")}, "finite"),
        ({"metric": "f1", "min": 0.5, "treshold": 1}, "unknown option 'treshold'"),
        ({"min": 0.5}, "option 'metric': it is required"),
        ({"metric": "f1", "min": 0.5, "max_rows": 100}, "'max_rows' is less than 'min_rows'"),
    ],
)
def test_options_that_demand_nothing_or_the_wrong_way_are_refused(options, words):
    with pytest.raises(ValidationError) as refused:
        PerformanceGate.Options(**options)
    assert words in one_line(refused.value, PerformanceGate.Options)
