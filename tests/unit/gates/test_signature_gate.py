import pytest

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
