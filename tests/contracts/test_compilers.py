"""Models of each flavor, as MLflow logs them: compiled, they answer as pyfunc does, here and in an edge bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.models import infer_signature

from lifecycle.bundle.cache import compile_snapshot, pack_bundle
from lifecycle.bundle.runner import Runner
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.compilers.contract import NotCompilable, compiler_of
from lifecycle.scoring.contract import Fields
from lifecycle.scoring.equality import agree, by_name
from lifecycle.scoring.onnx_scorer import OnnxScorer
from tests import flavors
from tests.flavors import ROWS
from tests.proof import some

pytestmark = pytest.mark.slow


MODELS = (
    flavors.torch_images,
    flavors.torch_script,
    flavors.torch_columns,
    flavors.keras_series,
    flavors.keras_by_itself,
    flavors.keras_two_inputs,
    flavors.onnx_two_outputs,
    flavors.xgboost_classifier,
    flavors.lightgbm_classifier,
    flavors.catboost_classifier,
    flavors.xgboost_in_a_pipeline,
)
USUAL = (flavors.torch_images, flavors.keras_two_inputs, flavors.onnx_two_outputs, flavors.xgboost_classifier)


@pytest.mark.parametrize("make", some(MODELS, *USUAL), ids=lambda make: make.__name__)
def test_compiled_it_answers_as_pyfunc_does(make, tmp_path, tmp_path_factory):
    model = flavors.made(tmp_path_factory, make)
    folder, (rows, expected) = model.compiled, model.answers["clean rows"]
    scorer = OnnxScorer(read_compiled(folder))
    got = scorer.predict(rows)
    assert isinstance(got, Fields) == isinstance(expected, Fields)
    assert agree(expected, got)
    assert [values.dtype for values in by_name(got).values()] == [v.dtype for v in by_name(expected).values()]
    assert agree(expected, _on_a_device(folder, rows, tmp_path))
    nothing = scorer.predict({name: values[:0] for name, values in rows.items()})
    assert [values.shape for values in by_name(nothing).values()] == [
        (0, *values.shape[1:]) for values in by_name(expected).values()
    ]


def _on_a_device(folder: Path, rows: Any, tmp_path: Path) -> Any:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(pack_bundle(folder, "m", 1))
    return Runner(bundle).predict(rows)


def test_a_python_model_is_said_to_be_code(tmp_path):
    class Own(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input):
            return model_input["a"]

    def save(path: Path) -> None:
        mlflow.pyfunc.save_model(
            str(path),
            python_model=Own(),
            signature=infer_signature(ROWS, ROWS["a"]),
            input_example=ROWS.head(2),
            pip_requirements=[],
        )

    snapshot = SnapshotStore(tmp_path / "snapshots").put(save)
    with pytest.raises(NotCompilable, match="Python code of its own"):
        compile_snapshot(snapshot, tmp_path / "compiled")


def test_a_library_that_is_missing_is_named_with_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.pytorch}}")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "lifecycle.scoring.compilers.pytorch", raising=False)
    with pytest.raises(NotCompilable, match=r"pip install 'mlflow-lifecycle\[torch\]'"):
        compiler_of(tmp_path)
