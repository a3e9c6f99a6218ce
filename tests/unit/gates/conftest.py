"""Subjects for the gates' tests: real flights, and a model folder without any trained model in it."""

import json

import numpy as np
import pytest
import yaml

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.gates.data_quality.profiler import derive_suite
from lifecycle.gates.subject import Candidate, Subject


class FormulaScorer:
    """A scorer that is a function of the batch."""

    kind = "formula"

    def __init__(self, signature, formula):
        self.signature, self._formula = signature, formula

    def predict(self, batch):
        return self._formula(batch)

    def close(self):
        pass


@pytest.fixture
def candidate_of(tmp_path):
    """A candidate from a formula and its input columns, logged as MLflow lays it out."""

    def build(formula=None, columns=None, version=1, example=((1.0,), (2.0,))):
        columns = [{"name": "x", "type": "double", "required": True}] if columns is None else columns
        folder = tmp_path / f"snapshot-{version}"
        folder.mkdir()
        mlmodel = {"flavors": {}}
        if columns:
            mlmodel["signature"] = {"inputs": json.dumps(columns)}
        if example is not None:
            mlmodel["saved_input_example_info"] = {"serving_input_path": "serving_input_example.json"}
            content = {"dataframe_split": {"columns": [c["name"] for c in columns], "data": example}}
            (folder / "serving_input_example.json").write_text(json.dumps(content))
        (folder / "MLmodel").write_text(yaml.safe_dump(mlmodel))
        formula = formula or (lambda batch: batch["x"])
        return Candidate(
            ModelVersion("m", version), Snapshot(f"{version:064x}", folder), lambda: FormulaScorer(None, formula)
        )

    return build


@pytest.fixture
def subject_of():
    """A subject from frames; whatever is not given is not there."""

    def build(candidate=None, reference=None, current=None, suite=None, champion=None, label="late"):
        def load(frame, name):
            return None if frame is None else dataset_from_frame(frame, label, name)

        return Subject(
            candidate,
            "production",
            load_reference=lambda: load(reference, "the reference"),
            load_current=lambda _: load(current, "today's rows"),
            load_suite=lambda: suite,
            load_champion=lambda: champion,
        )

    return build


@pytest.fixture(scope="session")
def spring_suite(spring):
    return derive_suite(spring.drop(columns="late"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def empty_home(tmp_path, monkeypatch):
    """A folder that is working directory, home and place for temporary files."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(home))
    return home


@pytest.fixture
def calls_home(monkeypatch):
    """Addresses that anything tried to connect to, with no environment variable asking for silence."""
    import socket

    for variable in ("DO_NOT_TRACK", "GX_ANALYTICS_ENABLED"):
        monkeypatch.delenv(variable, raising=False)
    called = []

    def connect(_, address):
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return called
