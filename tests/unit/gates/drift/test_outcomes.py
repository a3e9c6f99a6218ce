"""What the model answers, and what really happened."""

import numpy as np
import pandas as pd
import pytest

from lifecycle.domain.verdict import Outcome
from lifecycle.gates.drift import DriftGate
from lifecycle.gates.subject import NotLoaded

pytestmark = pytest.mark.slow  # Evidently's report comes with each verdict

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame({"x": RNG.normal(size=2000), "y": RNG.normal(size=2000)})
SHIFTED = ROWS.assign(x=ROWS.x + 0.08)  # not far enough to be drift by itself


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda b: b["x"], "passed"),
        (lambda b: np.c_[1 - b["x"], b["x"]], "passed"),
        (lambda b: b["x"][:, None], "passed"),
        (lambda b: np.where(b["x"] > 0.5, "yes", "no").astype(object), "passed"),
        (lambda b: (b["x"] > 0.5).astype(int), "passed"),
        (lambda b: {"low": b["x"] - 1, "high": b["x"] + 1}, "passed"),
        (lambda b: np.c_[b["x"], b["y"], b["x"] * b["y"]], "passed"),
        (lambda b: b["x"] + 10 * (b["x"].mean() > 0.04), "predictions_drifted"),
        (lambda b: {"low": b["y"], "high": b["x"] + 10 * (b["x"].mean() > 0.04)}, "predictions_drifted"),
        (lambda b: np.c_[b["y"], b["y"], b["x"] + 10 * (b["x"].mean() > 0.04)], "predictions_drifted"),
        (lambda b: (b["y"] > 10 * (b["x"].mean() > 0.04)).astype(int), "predictions_drifted"),
        (lambda b: np.where(b["x"].mean() > 0.04, np.nan, b["x"]), "predictions_drifted"),
        (lambda b: np.full(len(b["x"]), np.nan), "predictions_unjudged"),
        (lambda b: b["x"].astype(str).astype(object), "predictions_unjudged"),
        (lambda b: b["no such column"], "predictions_broke"),
    ],
)
def test_answers_of_any_shape_are_compared(judge_answers, answer, reason):
    verdict = judge_answers(answer, ROWS, SHIFTED, columns=("x", "y"))
    assert verdict.reason == f"drift.{reason}", verdict.message


def test_answers_that_move_more_than_the_rows_fail_and_their_distance_is_told(judge_answers):
    late = ROWS.assign(x=ROWS.x * 1.09)
    quiet = judge_answers(lambda b: b["x"], ROWS, late, max_prediction_distance=0.1)
    assert quiet.outcome is Outcome.PASSED
    assert 0 < quiet.figures["prediction_distance"] < 0.1


def test_a_limit_for_answers_is_the_users(judge_answers):
    verdict = judge_answers(lambda b: b["x"], ROWS, SHIFTED, max_prediction_distance=0.02)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "drift.predictions_drifted")
    assert "'prediction' (0.0" in verdict.message


def test_rows_that_the_model_cannot_score_leave_it_open_and_say_which_column(judge_answers):
    holes = ROWS.assign(x=np.where(RNG.random(2000) < 0.02, None, "text"))
    verdict = judge_answers(lambda b: b["x"], holes, holes)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "drift.predictions_unjudged")
    assert "'x'" in verdict.message


def test_a_model_without_signature_leaves_it_open_unless_it_is_not_asked(no_signature, subject_of):
    subject = subject_of(no_signature, ROWS, ROWS)
    asked = DriftGate(DriftGate.Options()).evaluate(subject)
    assert (asked.outcome, asked.reason) == (Outcome.INCONCLUSIVE, "drift.predictions_unjudged")
    assert "max_prediction_distance" in asked.message
    assert DriftGate(DriftGate.Options(max_prediction_distance=None)).evaluate(subject).outcome is Outcome.PASSED


def test_a_model_that_may_not_be_loaded_is_not_and_drifted_rows_are_told_all_the_same(candidate_of, subject_of):
    gate, candidate = DriftGate(DriftGate.Options()), candidate_of(lambda b: b["x"], example=None)
    same, other = subject_of(candidate, ROWS, ROWS), subject_of(candidate, ROWS, ROWS + 5)
    same.forbid_loading()
    other.forbid_loading()
    with pytest.raises(NotLoaded):
        gate.evaluate(same)
    assert gate.evaluate(other).reason == "drift.share_exceeded"


def test_columns_that_are_left_out_are_still_given_to_the_model(judge_answers):
    verdict = judge_answers(lambda b: b["x"] + b["y"], ROWS, ROWS, columns=("x", "y"), leave_out=["x"])
    assert (verdict.outcome, verdict.figures["columns"]) == (Outcome.PASSED, 1)
    assert "prediction_distance" in verdict.figures


def labelled(rate, rows=ROWS):
    return rows.assign(late=np.arange(len(rows)) < rate * len(rows))


@pytest.mark.parametrize(
    ("before", "now", "reason"),
    [
        (labelled(0.2), labelled(0.25), "passed"),
        (labelled(0.2), labelled(0.6), "target_drifted"),
        (labelled(0.2).astype({"late": int}), labelled(0.6).astype({"late": int}), "target_drifted"),
        (ROWS.assign(late=ROWS.y), ROWS.assign(late=ROWS.y + 0.5), "target_drifted"),
        (ROWS.assign(late=ROWS.y), ROWS.assign(late=ROWS.y + 0.1), "passed"),
        (labelled(0.2), ROWS, "passed"),
        (ROWS, labelled(0.2), "passed"),
        (labelled(0.2), labelled(0.6).assign(late=None), "passed"),
        (labelled(0.2), labelled(0.6).assign(late=lambda r: r.late.where(r.index % 5 == 0, None)), "passed"),
        (labelled(0.2), ROWS.assign(late="?"), "type_changed"),
    ],
    ids=[
        "as it was",
        "three times as many",
        "as numbers 0 and 1",
        "a number that moved",
        "a number that hardly moved",
        "no labels yet",
        "no labels then",
        "none has come",
        "too few have come",
        "of another kind",
    ],
)
def test_labels_are_compared_where_both_sides_have_enough_of_them(judge_rows, before, now, reason):
    assert judge_rows(before, now).reason == f"drift.{reason}"


def test_labels_are_not_looked_at_without_a_limit(judge_rows):
    verdict = judge_rows(labelled(0.2), labelled(0.6), max_target_distance=None)
    assert verdict.outcome is Outcome.PASSED
    assert "target_distance" not in verdict.figures
