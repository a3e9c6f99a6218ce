"""Compiling runs a model's code: apart, without secrets, and no longer or larger than it may be."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from lifecycle.bundle.cache import compiled_folder
from lifecycle.bundle.compile_process import compile_apart
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.compilers.contract import NotCompilable

pytestmark = pytest.mark.slow
ROWS = pd.DataFrame({"a": [1.0, 2.0]})


def test_it_leaves_the_bundle_in_the_cache(lifecycle_models, tmp_path):
    model = lifecycle_models[0]
    folder = compile_apart(model.snapshot, tmp_path / "compiled", model.rows)
    assert folder == compiled_folder(tmp_path / "compiled", model.snapshot.digest)
    assert read_compiled(folder).digest == model.snapshot.digest
    assert compile_apart(model.snapshot, tmp_path / "compiled") == folder


def test_what_takes_too_long_is_given_up(lifecycle_models, tmp_path):
    with pytest.raises(NotCompilable, match=r"takes longer than 0\.05 s"):
        compile_apart(lifecycle_models[0].snapshot, tmp_path / "compiled", seconds=0.05)
    assert list(tmp_path.glob("compiled/*")) == []


def test_what_takes_too_much_memory_is_given_up(lifecycle_models, tmp_path):
    with pytest.raises(NotCompilable, match=r"memory|load or score"):
        compile_apart(lifecycle_models[0].snapshot, tmp_path / "compiled", memory=64 << 20)


SCRIPT = """
import json, os
import mlflow
from mlflow.pyfunc import PythonModel

class Scripted(PythonModel):
    def load_context(self, context):
        {loading}

    def predict(self, context, model_input, params=None):
        return model_input["a"].to_numpy()

mlflow.models.set_model(Scripted())
"""


def scripted(folder: Path, loading: str) -> Snapshot:
    """A model whose code runs this line when it is loaded."""
    script = folder / "script.py"
    script.write_text(SCRIPT.format(loading=loading))

    def save(path: Path) -> None:
        signature = infer_signature(ROWS, ROWS["a"].to_numpy())
        mlflow.pyfunc.save_model(str(path), python_model=str(script), signature=signature, pip_requirements=[])

    return SnapshotStore(folder / "snapshots").put(save)


def test_a_model_that_ends_its_process_ends_no_other(tmp_path):
    snapshot = scripted(tmp_path, "os._exit(7)")
    with pytest.raises(NotCompilable, match="ended with exit status 7"):
        compile_apart(snapshot, tmp_path / "compiled", {"a": np.array([1.0])})


def test_a_models_code_sees_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("LIFECYCLE_SIGNING_KEY", "s3cr3t")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cr3t@127.0.0.1:1")
    seen = tmp_path / "seen.json"
    snapshot = scripted(tmp_path, f"open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))")
    with pytest.raises(NotCompilable, match="Python code of its own"):
        compile_apart(snapshot, tmp_path / "compiled", {"a": np.array([1.0])})
    assert "s3cr3t" not in seen.read_text()
