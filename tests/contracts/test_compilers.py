"""Models of each flavor, as MLflow logs them: compiled, they answer as pyfunc does, here and in an edge bundle."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from lifecycle.bundle.cache import compile_snapshot, pack_bundle
from lifecycle.bundle.runner import Runner
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.compiled import read_compiled
from lifecycle.scoring.compilers.contract import NotCompilable, compiler_of
from lifecycle.scoring.contract import Fields
from lifecycle.scoring.equality import agree, by_name
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.onnx_scorer import OnnxScorer
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

pytestmark = pytest.mark.slow

Save = Callable[[Path], None]
RANDOM = np.random.default_rng(7)
IMAGES = RANDOM.normal(size=(6, 1, 8, 8)).astype(np.float32)
SERIES = RANDOM.normal(size=(5, 7, 3)).astype(np.float32)
ROWS = pd.DataFrame(RANDOM.normal(size=(60, 4)), columns=list("abcd"))
LABEL = (ROWS["a"] + ROWS["b"] ** 2 > 0.5).astype(int)


def _torch(module: Any, example: Any, **options: Any) -> Save:
    import mlflow.pytorch
    import torch

    answer = module.eval()(torch.from_numpy(np.asarray(example, np.float32))).detach().numpy()
    signature = infer_signature(example, answer)
    return lambda path: mlflow.pytorch.save_model(
        module, str(path), input_example=example, signature=signature, pip_requirements=["torch"], **options
    )


def _cnn() -> Any:
    from torch import manual_seed, nn

    manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2))
    return nn.Sequential(*layers, nn.Linear(36, 10), nn.Softmax(dim=1)).eval()


def torch_images() -> Save:
    return _torch(_cnn(), IMAGES)


def torch_script() -> Save:
    import torch

    return _torch(torch.jit.script(_cnn()), IMAGES, serialization_format="pickle")


def torch_columns() -> Save:
    from torch import manual_seed, nn

    manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(dim=1))
    return _torch(module, ROWS.head(20), serialization_format="pickle")


def _keras(model: Any, example: Any, flavor: str = "tensorflow") -> Save:
    import importlib

    save = importlib.import_module(f"mlflow.{flavor}").save_model
    signature = infer_signature(example, model.predict(example, verbose=0))
    return lambda path: save(
        model, str(path), signature=signature, input_example=example, pip_requirements=["keras"]
    )


def keras_series() -> Save:
    import keras

    keras.utils.set_random_seed(0)
    return _keras(keras.Sequential([keras.Input((7, 3)), keras.layers.LSTM(4), keras.layers.Dense(1)]), SERIES)


def keras_by_itself() -> Save:
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((7, 3)), keras.layers.Conv1D(4, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    return _keras(keras.Sequential(layers), SERIES, "keras")


def keras_two_inputs() -> Save:
    import keras

    keras.utils.set_random_seed(0)
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    answer = keras.layers.Dense(2)(keras.layers.Concatenate()([left, right]))
    rows = {"left": SERIES[:, 0], "right": SERIES[:, 1, :2]}
    return _keras(keras.Model({"left": left, "right": right}, answer), rows)


def onnx_two_outputs() -> Save:
    import mlflow.onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(RANDOM.normal(size=(3, 2)).astype(np.float32), "w")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    rows = SERIES[:, 0]
    answer = {"label": np.zeros(5, np.int64), "scores": rows[:, :2]}
    return lambda path: mlflow.onnx.save_model(
        model, str(path), input_example=rows, signature=infer_signature(rows, answer)
    )


def _booster(flavor: str, model: Any, **options: Any) -> Save:
    import importlib

    save = importlib.import_module(f"mlflow.{flavor}").save_model
    model.fit(ROWS, LABEL)
    signature = infer_signature(ROWS, model.predict(ROWS))
    return lambda path: save(
        model, str(path), signature=signature, input_example=ROWS, pip_requirements=[flavor], **options
    )


def xgboost_classifier() -> Save:
    import xgboost

    return _booster("xgboost", xgboost.XGBClassifier(n_estimators=10))


def lightgbm_classifier() -> Save:
    import lightgbm

    return _booster("lightgbm", lightgbm.LGBMClassifier(n_estimators=10, verbose=-1))


def catboost_classifier() -> Save:
    import catboost

    return _booster("catboost", catboost.CatBoostClassifier(10, verbose=0, allow_writing_files=False))


def xgboost_in_a_pipeline() -> Save:
    import xgboost
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), xgboost.XGBRegressor(n_estimators=10))
    return _booster("sklearn", model, serialization_format="cloudpickle")


@pytest.mark.parametrize(
    "make",
    [
        torch_images,
        torch_script,
        torch_columns,
        keras_series,
        keras_by_itself,
        keras_two_inputs,
        onnx_two_outputs,
        xgboost_classifier,
        lightgbm_classifier,
        catboost_classifier,
        xgboost_in_a_pipeline,
    ],
    ids=lambda make: make.__name__,
)
def test_compiled_it_answers_as_pyfunc_does(make, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    snapshot = SnapshotStore(tmp_path / "snapshots").put(make())
    folder = compile_snapshot(snapshot, tmp_path / "compiled")
    rows = golden_batch(snapshot.path)
    expected = PyfuncScorer(snapshot.path).predict(rows)
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
    import mlflow.pyfunc

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
