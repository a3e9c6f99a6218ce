"""Small models of each flavor, as MLflow logs them."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature

from lifecycle.bundle.cache import compile_snapshot, compiled_folder
from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef, Snapshot
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.scoring.json_rows import golden_batch
from lifecycle.scoring.pyfunc_scorer import PyfuncScorer
from lifecycle.testing.target_contract import folder_source
from tests.conftest import made_once

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
    units = keras.layers.Normalization(mean=0.5, variance=2.0)  # constants that are no variables
    layers = [keras.Input((7, 3)), units, keras.layers.LSTM(4), keras.layers.Dense(1)]
    return _keras(keras.Sequential(layers), SERIES)


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


@dataclass(frozen=True)
class FlavorModel:
    """A model of a flavor, compiled, with rows and pyfunc's answers to them.

    Attributes:
        answers: Rows and predictions by name: ``clean rows``, ``one row``, ``1,000 rows``.
    """

    snapshot: Snapshot
    compiled: Path
    answers: Mapping[str, tuple[Batch, Predictions]]

    def spec(self, name: str, options: Mapping[str, str], *, pyfunc: bool) -> DeploymentSpec:
        """A deployment of it."""
        source = folder_source(self.snapshot, None if pyfunc else self.compiled)
        ref = ModelRef("a-network", stage="Production")
        return DeploymentSpec(name, ref, (Variant(1, source, compiled=not pyfunc),), options)


def made(factory: pytest.TempPathFactory, make: Callable[[], Save]) -> FlavorModel:
    """The model, made and compiled once a run; it takes seconds."""
    folder = made_once(factory, make.__name__, lambda folder: _make(folder, make))
    (path,) = [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    snapshot = Snapshot(path.name, path)
    compiled = compiled_folder(folder / "compiled", snapshot.digest)
    assert compiled is not None
    return FlavorModel(snapshot, compiled, pickle.loads((folder / "answers.pickle").read_bytes()))  # noqa: S301


def _make(folder: Path, make: Callable[[], Save]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
        snapshot = SnapshotStore(folder / "snapshots").put(make())
        compile_snapshot(snapshot, folder / "compiled")
        scorer, clean = PyfuncScorer(snapshot.path), golden_batch(snapshot.path)
        assert clean is not None
        rows = {"clean rows": clean} | {"one row": _drawn(clean, 1), "1,000 rows": _drawn(clean, 1000)}
        answers = {name: (batch, scorer.predict(batch)) for name, batch in rows.items()}
    (folder / "answers.pickle").write_bytes(pickle.dumps(answers))


def _drawn(rows: Batch, count: int) -> Batch:
    """Other rows than these, of tensors; of columns the same ones again."""
    random = np.random.default_rng(count)
    return {
        name: values[np.arange(count) % len(values)]
        if values.ndim == 1
        else random.normal(size=(count, *values.shape[1:])).astype(values.dtype)
        for name, values in rows.items()
    }
