"""The training projects, as a newcomer runs them: each registers versions that compile, and trains again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml
from mlflow import MlflowClient

from lifecycle.bundle.cache import compile_snapshot
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compile import by_name, tolerance_of
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.onnx_scorer import OnnxScorer
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from lifecycle.scoring.signature import Signature
from tests import commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PROJECTS = Path(__file__).parents[2] / "projects"
OFTEN = ("digits",)
HANGS_S = 300


@dataclass(frozen=True)
class Project:
    """A copy of a project, and a registry of its own."""

    name: str
    folder: Path

    @property
    def registry(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def model(self) -> str:
        return str(next(iter(yaml.safe_load((PROJECTS / self.name / "lifecycle.yaml").read_text())["models"])))

    def run(self, entry_point: str, **parameters: str) -> str:
        chosen = [word for name, value in parameters.items() for word in ("-P", f"{name}={value}")]
        words = ["-m", "mlflow", "run", f"projects/{self.name}", "-e", entry_point, "--env-manager", "local"]
        # the project's own command is python
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = dict(os.environ) | {"MLFLOW_TRACKING_URI": self.registry, "PATH": path}
        done = commands.run([*words, *chosen], self.folder, environment, HANGS_S)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    def versions(self) -> list[int]:
        found = MlflowClient(self.registry).search_model_versions(f"name='{self.model}'")
        return sorted(int(version.version) for version in found)

    def files(self, version: int) -> Path:
        mlflow.set_tracking_uri(self.registry)
        return Path(mlflow.artifacts.download_artifacts(f"models:/{self.model}/{version}"))

    def snapshot(self, version: int) -> Snapshot:
        files = self.files(version)
        return SnapshotStore(self.folder / "snapshots").put(
            lambda folder: shutil.copytree(files, folder, dirs_exist_ok=True)
        )


def often(name: str) -> object:
    return pytest.param(name, marks=() if name in OFTEN else pytest.mark.proof)


@pytest.fixture(scope="module", params=[often(path.name) for path in sorted(PROJECTS.iterdir())])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> Iterator[Project]:
    """The project after its entry point ``main``."""
    folder = tmp_path_factory.mktemp(request.param)
    ignored = shutil.ignore_patterns("__pycache__", "current")
    shutil.copytree(PROJECTS / request.param, folder / "projects" / request.param, ignore=ignored)
    shutil.copy(empty_database, folder / "mlflow.db")
    project = Project(request.param, folder)
    project.run("main")
    return project


def test_it_registers_a_version_with_signature_example_and_reference_rows(trained):
    assert trained.versions() == [1]
    signature = Signature.from_snapshot(trained.files(1))
    assert signature.inputs
    assert signature.outputs
    assert golden_batch(trained.files(1))
    (version,) = MlflowClient(trained.registry).search_model_versions(f"name='{trained.model}'")
    tracked = MlflowClient(trained.registry).list_artifacts(version.run_id, "lifecycle")
    assert {Path(file.path).name for file in tracked} == {"expectations.json", "reference.parquet", "track.json"}


def test_its_version_compiles_and_answers_as_pyfunc_does(trained, tmp_path):
    snapshot = trained.snapshot(1)
    compiled = OnnxScorer(read_compiled(compile_snapshot(snapshot, tmp_path)))
    example = golden_batch(snapshot.path)
    expected, got = (by_name(s.predict(example)) for s in (PyfuncScorer(snapshot.path), compiled))
    assert list(expected) == list(got)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=tolerance_of(values.dtype))


@pytest.mark.proof
def test_it_is_evaluated_and_trained_again(trained):
    said = trained.run("evaluate")
    assert "current/" in said
    assert list((trained.folder / "projects" / trained.name / "current").glob("*.parquet"))
    trained.run("retrain")
    assert trained.versions() == [1, 2]
    assert Signature.from_snapshot(trained.files(2)) == Signature.from_snapshot(trained.files(1))


@pytest.mark.proof
@pytest.mark.parametrize("trained", ["digits"], indirect=True)
def test_training_that_was_interrupted_ends_with_the_same_weights(trained):
    trained.run("main", epochs="3", model="half")
    (half,) = MlflowClient(trained.registry).search_model_versions("name='half'")
    trained.run("main", resume=half.run_id)
    last = trained.versions()[-1]
    first, resumed = (PyfuncScorer(trained.files(version)) for version in (1, last))
    example = golden_batch(trained.files(1))
    assert first.predict(example).tolist() == resumed.predict(example).tolist()
