import json

import pytest
import yaml

from lifecycle.domain.verdict import Outcome
from lifecycle.gates.signature import SignatureGate

GATE = SignatureGate(SignatureGate.Options())


def column(name, type_="double", required=True):
    return {"name": name, "type": type_, "required": required}


def judge(subject):
    verdict = GATE.evaluate(subject)
    return verdict.outcome, verdict.reason, verdict.message


def test_a_model_with_signature_and_an_example_that_scores_passes(candidate_of, subject_of):
    assert judge(subject_of(candidate_of()))[:2] == (Outcome.PASSED, "signature.passed")


def test_no_signature_fails_and_says_how_to_log_one(candidate_of, subject_of):
    outcome, reason, message = judge(subject_of(candidate_of(columns=[], example=None)))
    assert (outcome, reason) == (Outcome.FAILED, "signature.no_signature")
    assert "infer_signature" in message


@pytest.mark.parametrize("example", [None, []])
def test_no_example_or_an_empty_one_fails_and_says_how_to_log_one(candidate_of, subject_of, example):
    outcome, reason, message = judge(subject_of(candidate_of(example=example)))
    assert (outcome, reason) == (Outcome.FAILED, "signature.no_example")
    assert "input_example=" in message


def test_an_example_that_does_not_fit_the_signature_fails_without_quoting_it(candidate_of, subject_of):
    outcome, reason, message = judge(subject_of(candidate_of(example=[["hush"]])))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_does_not_fit")
    assert "'x'" in message
    assert "hush" not in message


@pytest.mark.parametrize("type_", ["long", "integer", "boolean"])
def test_a_missing_value_in_the_example_where_the_type_has_none_fails(candidate_of, subject_of, type_):
    outcome, reason, _ = judge(subject_of(candidate_of(columns=[column("x", type_)], example=[[None]])))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_does_not_fit")


def test_a_model_that_raises_on_its_own_example_fails_without_quoting_the_error(candidate_of, subject_of):
    def raises(_):
        raise ValueError("could not convert 'hush'")

    outcome, reason, message = judge(subject_of(candidate_of(raises)))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_does_not_score")
    assert "ValueError" in message
    assert "hush" not in message


def test_a_model_that_loses_rows_fails(candidate_of, subject_of):
    outcome, reason, message = judge(subject_of(candidate_of(lambda batch: batch["x"][:1])))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_rows_differ")
    assert "2 example rows with 1 predictions" in message


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ([column("x")], [column("x"), column("y")], "'y' is new and required"),
        ([column("x", "double")], [column("x", "long")], "'x' was double and is now long"),
        ([column("x", "string")], [column("x", "double")], "'x' was string and is now double"),
        ([column("x", required=False)], [column("x")], "'x' was optional and is now required"),
    ],
)
def test_inputs_that_the_champions_clients_do_not_send_fail_by_name(
    candidate_of, subject_of, before, after, problem
):
    champion = candidate_of(columns=before, version=1)
    example = [["1" if c["type"] == "string" else 1 for c in after]]
    outcome, reason, message = judge(
        subject_of(candidate_of(columns=after, version=2, example=example), champion=champion)
    )
    assert (outcome, reason) == (Outcome.FAILED, "signature.incompatible")
    assert problem in message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([column("x")], [column("x")]),
        ([column("x", "long")], [column("x", "double")]),
        ([column("x")], [column("x", required=False)]),
        ([column("x")], [column("x"), column("y", required=False)]),
        ([column("y"), column("x")], [column("x"), column("y")]),
    ],
)
def test_inputs_that_the_champions_clients_already_send_pass(candidate_of, subject_of, before, after):
    champion = candidate_of(columns=before, version=1)
    candidate = candidate_of(columns=after, version=2, example=[[1 for _ in after]])
    assert judge(subject_of(candidate, champion=champion))[0] is Outcome.PASSED


def test_a_dropped_input_passes_and_is_named(candidate_of, subject_of):
    champion = candidate_of(columns=[column("x"), column("old")], version=1)
    outcome, _, message = judge(subject_of(candidate_of(version=2), champion=champion))
    assert outcome is Outcome.PASSED
    assert "no longer uses 'old'" in message


def test_a_champion_without_signature_leaves_it_open(candidate_of, subject_of):
    champion = candidate_of(columns=[], example=None, version=1)
    outcome, reason, _ = judge(subject_of(candidate_of(version=2), champion=champion))
    assert (outcome, reason) == (Outcome.INCONCLUSIVE, "signature.champion_without_signature")


# What clients read


def tensor(shape, dtype="float64"):
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}


def answering(candidate, outputs):
    """The candidate with these outputs in its signature."""
    file = candidate.snapshot.path / "MLmodel"
    mlmodel = yaml.safe_load(file.read_text())
    mlmodel["signature"]["outputs"] = json.dumps(outputs)
    file.write_text(yaml.safe_dump(mlmodel))
    return candidate


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ([tensor([-1])], [tensor([-1, 2])], "the output had shape (rows,) and has now (rows, 2)"),
        ([tensor([-1, 2])], [tensor([-1, 3])], "the output had shape (rows, 2) and has now (rows, 3)"),
        ([tensor([-1])], [tensor([-1], "int64")], "the output was float64 and is now int64"),
        ([tensor([-1], "int64")], [tensor([-1])], "the output was int64 and is now float64"),
        ([tensor([-1])], [column("late")], "the output is gone"),
        ([tensor([-1])], [], "the output is gone"),
        ([column("late"), column("why", "string")], [column("late")], "output 'why' is gone"),
        ([column("late", "long")], [column("late", "double")], "output 'late' was long and is now double"),
        ([column("late")], [column("late", required=False)], "output 'late' was always there and is now optional"),
    ],
)
def test_answers_that_the_champions_clients_cannot_read_fail_by_name(
    candidate_of, subject_of, before, after, problem
):
    champion, candidate = answering(candidate_of(version=1), before), answering(candidate_of(version=2), after)
    outcome, reason, message = judge(subject_of(candidate, champion=champion))
    assert (outcome, reason) == (Outcome.FAILED, "signature.outputs_incompatible")
    assert problem in message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([tensor([-1, 2])], [tensor([-1, 2])]),
        ([], [tensor([-1])]),
        ([column("late")], [column("late"), column("why", "string")]),
        ([column("late"), column("why", "string")], [column("why", "string"), column("late")]),
        ([column("late", "long")], [column("late", "integer")]),
        ([tensor([-1], "int64")], [tensor([-1], "int32")]),
    ],
)
def test_answers_that_the_champions_clients_can_read_pass(candidate_of, subject_of, before, after):
    champion, candidate = answering(candidate_of(version=1), before), answering(candidate_of(version=2), after)
    assert judge(subject_of(candidate, champion=champion))[0] is Outcome.PASSED


# What gets lost on the way in


@pytest.mark.parametrize(
    ("columns", "example", "lossy"),
    [
        ([column("id"), column("x")], [[2**53 + 1, 0.5]], "'id'"),
        ([column("id"), column("x")], [[2**53 + 1, 0.5], [None, 1.5]], "'id'"),
        ([column("x", "float")], [[0.1]], "'x'"),
        ([column("x", "float")], [[2**24 + 1]], "'x'"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_an_example_that_the_signature_rounds_fails_by_column(candidate_of, subject_of, columns, example, lossy):
    outcome, reason, message = judge(subject_of(candidate_of(lambda b: b["x"], columns, example=example)))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_loses_values")
    assert f"example in {lossy}, and" in message
    assert str(example[0][0]) not in message


@pytest.mark.parametrize(
    ("columns", "example"),
    [
        ([column("x"), column("id", "long")], [[0.1, 2**53 + 1]]),
        ([column("x"), column("id")], [[0.1, 2**53]]),
        ([column("x", "float")], [[0.5], [0.10000000149011612]]),
        ([column("x"), column("day", "datetime")], [[1, "2013-07-01T12:00:00"]]),
        ([column("x"), column("ok", "boolean")], [[1, True]]),
        ([column("x"), column("name", "string", required=False)], [[None, None]]),
    ],
)
def test_an_example_that_comes_through_whole_passes(candidate_of, subject_of, columns, example):
    assert judge(subject_of(candidate_of(columns=columns, example=example)))[0] is Outcome.PASSED


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_split": {"columns": ["x", "extra"], "data": [[1.0, 2.0]]}},
        {"dataframe_records": [{"x": 1.0}, {"x": 1.0, "extra": 2.0}]},
        {"inputs": {"x": [1.0], "extra": [2.0]}},
    ],
)
def test_a_column_of_the_example_that_the_signature_leaves_out_fails_by_name(candidate_of, subject_of, content):
    candidate = candidate_of()
    (candidate.snapshot.path / "serving_input_example.json").write_text(json.dumps(content))
    outcome, reason, message = judge(subject_of(candidate))
    assert (outcome, reason) == (Outcome.FAILED, "signature.example_loses_values")
    assert "'extra'" in message


@pytest.mark.parametrize(
    ("dtype", "content", "reason"),
    [
        ("float64", {"inputs": [[0.1, 2.0], [3.0, 4.0]]}, "passed"),
        ("float64", {"inputs": [[2**53 + 1, 2], [3, 4]]}, "example_loses_values"),
        ("float32", {"instances": [[0.5, 2.0], [3.0, 4.0]]}, "passed"),
        ("float32", {"inputs": {"": [[0.1, 2.0], [3.0, 4.0]]}}, "example_loses_values"),
    ],
)
def test_tensors_come_through_whole_or_fail_too(candidate_of, subject_of, dtype, content, reason):
    candidate = candidate_of(lambda batch: batch[""], [{"name": "", **tensor([-1, 2], dtype)}])
    (candidate.snapshot.path / "serving_input_example.json").write_text(json.dumps(content))
    assert judge(subject_of(candidate))[1] == f"signature.{reason}"
