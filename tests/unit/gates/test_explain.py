"""Charts come after the verdict, cost it nothing, and change nothing about it."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.charts import Bar, BarChart, Explanation
from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import GateOptions, findings_of, inconclusive, passed
from lifecycle.gates.run import explain_gates
from lifecycle.testing.gate_contract import FakeGate

CHART = BarChart("times", (Bar("one", 1.0),))


@dataclass(frozen=True)
class Shows:
    """A gate that shows what a function makes."""

    make: Any
    name = "shows"
    Options = GateOptions
    before_loading = False
    options = GateOptions()

    def evaluate(self, subject):
        subject.findings[self.name] = "found"
        return passed(self.name, "Fine.")

    def explain(self, subject, verdict):
        assert findings_of(self, subject) == "found"
        return self.make(verdict)


def slow(_):
    threading.Event().wait(600)


def raising(_):
    yield CHART
    raise ValueError("hush")


def explained(subject, *makers, seconds=30.0):
    gates = [Shows(make) for make in makers]
    verdicts = [gate.evaluate(subject) for gate in gates]
    return list(explain_gates(gates, verdicts, subject, seconds))


@pytest.fixture
def subject(subject_of, candidate_of):
    return subject_of(candidate_of())


def test_each_verdict_gets_its_charts(subject):
    assert explained(subject, lambda _: [CHART], lambda _: iter(())) == [Explanation((CHART,)), Explanation()]


def test_a_chart_that_raises_is_a_note_without_the_exceptions_text_and_the_next_one_is_made(subject):
    broken, fine = explained(subject, raising, lambda _: [CHART])
    assert broken.charts == (CHART,)  # what was there before
    assert "ValueError" in broken.note
    assert "hush" not in broken.note
    assert fine.charts == (CHART,)


def test_a_chart_that_takes_too_long_is_a_note_and_the_next_one_is_made(subject):
    late, fine = explained(subject, slow, lambda _: [CHART], seconds=0.5)
    assert late == Explanation(note="Charts that took longer than 0.5 s were left out.")
    assert fine.charts == (CHART,)


def test_what_is_no_chart_is_not_shown(subject):
    (explanation,) = explained(subject, lambda _: ["<script>"])
    assert explanation.charts == ()
    assert "something else" in explanation.note


def test_a_gate_that_explains_nothing_is_not_asked(subject):
    gate = FakeGate(FakeGate.Options())
    assert list(explain_gates([gate], [gate.evaluate(subject)], subject)) == [Explanation()]


@pytest.mark.parametrize("what", ["timed_out", "not_loaded"])
def test_a_verdict_that_the_runner_gave_has_nothing_to_explain(subject, what):
    verdict = inconclusive("shows", what, "Not judged.")
    assert list(explain_gates([Shows(raising)], [verdict], subject)) == [Explanation()]


def test_what_another_process_found_is_found_again(subject):
    gate = Shows(lambda _: [CHART])
    verdict = Verdict("shows", "PASSED", "shows.passed", "Fine.")
    assert list(explain_gates([gate], [verdict], subject)) == [Explanation((CHART,))]


VERDICTS_ALONE = """
import sys
import pandas as pd
from lifecycle.data.dataset import dataset_from_frame
from lifecycle.gates.data_quality import DataQualityGate
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.gates.drift import DriftGate
from lifecycle.gates.subject import Subject

frame = pd.DataFrame({"x": [float(i) for i in range(600)], "c": ["a", "b"] * 300})
rows = dataset_from_frame(frame, None)
subject = Subject(None, "s", lambda: rows, lambda _: rows, lambda: derive_suite(frame), lambda: None)
options = DriftGate.Options(columns=("x", "c"), max_prediction_distance=None)
for gate in (DriftGate(options), DataQualityGate(DataQualityGate.Options())):
    verdict = gate.evaluate(subject)
    assert verdict.outcome == "PASSED", verdict
drawing = {"evidently", "plotly", "matplotlib", "nh3"}
print(sorted(drawing & set(sys.modules)))
"""


@pytest.mark.slow
def test_a_verdict_imports_nothing_that_draws():
    said = subprocess.run([sys.executable, "-c", VERDICTS_ALONE], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("count", [0, 600])
def test_the_shipped_gates_show_nothing_where_there_was_nothing_to_judge(subject_of, candidate_of, count):
    from lifecycle.gates.data_quality import DataQualityGate
    from lifecycle.gates.drift import DriftGate
    from lifecycle.gates.performance import PerformanceGate

    rows = dataset_from_frame(pd.DataFrame({"x": range(count)}), None)
    subject = subject_of(candidate_of())
    subject.load_current = lambda _: rows
    for gate in (
        DriftGate(DriftGate.Options()),
        DataQualityGate(DataQualityGate.Options()),
        PerformanceGate(PerformanceGate.Options(metric="f1", min=0.5)),
    ):
        assert list(gate.explain(subject, gate.evaluate(subject))) == []
