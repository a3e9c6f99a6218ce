"""A folder as MLflow lays it out, without any trained model in it, and the gate's verdict on it."""

import io
import pickle
import zipfile

import pytest
import yaml

from lifecycle.domain.model import ModelVersion, Snapshot
from lifecycle.gates.safety import SafetyGate
from lifecycle.gates.subject import Candidate, Subject


class Folder:
    """A model's folder that a test fills."""

    def __init__(self, path):
        self.path = path

    def write(self, name, content):
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def mlmodel(self, *, flavor="sklearn", conf=None, python=None, **fields):
        """Write an MLmodel file like MLflow's own, with some entries of it changed."""
        document = {
            "flavors": {
                "python_function": {
                    "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                    "loader_module": f"mlflow.{flavor}",
                    "model_path": "model.pkl",
                    "predict_fn": "predict",
                    "python_version": "3.11.7",
                    **(python or {}),
                },
                flavor: {"code": None, "pickled_model": "model.pkl", **(conf or {})},
            },
            "mlflow_version": "3.17.2",
            **fields,
        }
        self.write("MLmodel", yaml.safe_dump(document))


@pytest.fixture
def folder(tmp_path):
    """A model that passes: a harmless pickle, and pinned requirements."""
    path = tmp_path / "model"
    path.mkdir()
    folder = Folder(path)
    folder.mlmodel()
    folder.write("model.pkl", pickle.dumps({"weights": [1.0, 2.0]}))
    folder.write("requirements.txt", "mlflow==3.17.2\nscikit-learn==1.9.1")
    return folder


@pytest.fixture
def verdict_on():
    """The gate's verdict on a folder, with some options. Whoever loads the model fails the test."""

    def judge(folder, **options):
        def load():
            raise AssertionError("the safety gate has loaded the model")

        snapshot = Snapshot("0" * 64, getattr(folder, "path", folder))
        candidate = Candidate(ModelVersion("m", 1), snapshot, load)
        subject = Subject(candidate, "staging", lambda: None, lambda _: None, lambda: None, lambda: None)
        return SafetyGate(SafetyGate.Options(**options)).evaluate(subject)

    return judge


@pytest.fixture
def zipped():
    """A zip file's bytes, from its entries."""

    def build(entries, compression=zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    return build


@pytest.fixture
def canary(tmp_path):
    """A file that comes into being when a payload runs."""
    return tmp_path / "canary"


class Touch:
    """Unpickling one touches a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.path}",)


@pytest.fixture
def evil(canary):
    """A pickle that touches the canary."""
    return pickle.dumps(Touch(canary))
