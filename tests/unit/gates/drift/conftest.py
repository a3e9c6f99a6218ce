"""The drift gate with a short word for it."""

import pytest

from lifecycle.gates.drift import DriftGate


@pytest.fixture
def no_signature(candidate_of):
    """The gate then compares every column of the reference."""
    return candidate_of(columns=[], example=None)


@pytest.fixture
def judge_rows(no_signature, subject_of):
    """The verdict on rows alone; no model is asked."""

    def judge(reference, current, **options):
        gate = DriftGate(DriftGate.Options(max_prediction_distance=None, **options))
        return gate.evaluate(subject_of(no_signature, reference, current))

    return judge


@pytest.fixture
def explain_rows(no_signature, subject_of):
    """The charts that go with the verdict on rows alone."""

    def explain(reference, current, **options):
        gate = DriftGate(DriftGate.Options(max_prediction_distance=None, **options))
        subject = subject_of(no_signature, reference, current)
        return list(gate.explain(subject, gate.evaluate(subject)))

    return explain


@pytest.fixture
def judge_answers(candidate_of, subject_of):
    """The verdict where the model answers by a formula."""

    def judge(formula, reference, current, columns=("x",), **options):
        signature = [{"name": name, "type": "double", "required": True} for name in columns]
        candidate = candidate_of(formula, signature, example=None)
        return DriftGate(DriftGate.Options(**options)).evaluate(subject_of(candidate, reference, current))

    return judge
