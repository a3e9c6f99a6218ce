"""The safety gate keeps the contract of every gate."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from lifecycle.data.dataset import dataset_from_frame
from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.gates.safety import SafetyGate
from lifecycle.gates.subject import Candidate, Subject
from lifecycle.testing.gate_contract import GateContract


class TestSafetyGate(GateContract):
    @pytest.fixture
    def gate(self):
        return SafetyGate(SafetyGate.Options())

    @pytest.fixture
    def subject(self, folder, tmp_path):
        self.folder = tmp_path
        candidate = Candidate(ModelVersion("m", 1), Snapshot("0" * 64, folder.path), _load)
        rows = dataset_from_frame(pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}), None)
        return Subject(candidate, "staging", lambda: rows, lambda _: rows, lambda: None, lambda: None)

    def starved(self, subject):
        # It looks at no rows: what it cannot do without are files.
        return {
            lack: self._without(subject, lack, spoil)
            for lack, spoil in {
                "no files": lambda path: [file.unlink() for file in path.iterdir()],
                "no MLmodel": lambda path: (path / "MLmodel").unlink(),
                "an empty MLmodel": lambda path: (path / "MLmodel").write_bytes(b""),
                "no model": lambda path: (path / "model.pkl").unlink(),
                "an empty model": lambda path: (path / "model.pkl").write_bytes(b""),
                "half a model": lambda path: (path / "model.pkl").write_bytes(b"\x80\x04}"),
            }.items()
        }

    def _without(self, subject, lack, spoil):
        path = self.folder / lack
        if not path.exists():
            shutil.copytree(subject.candidate.snapshot.path, path)
            spoil(path)
        candidate = replace(subject.candidate, snapshot=Snapshot("1" * 64, path))
        return replace(subject, candidate=candidate)


def _load():
    raise AssertionError("the safety gate has loaded the model")


def test_the_runner_asks_it_before_any_gate_that_loads_the_model():
    assert SafetyGate.before_loading
