"""XGBoost, LightGBM and CatBoost, by onnxmltools' converters and CatBoost's own.

All three compare float32 or less, so what compares doubles (LightGBM) is exact only where no value lies between a
threshold and its float32; the proof after the conversion finds out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper

from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.compilers.graph import one_column_each, take
from lifecycle.scoring.signature import Signature

_OPSET = 15
"""The latest that onnxmltools writes."""


def compile_xgboost(snapshot: Path, signature: Signature) -> OnnxForm:
    """Compile a Booster or an estimator of XGBoost."""
    import mlflow.xgboost
    from onnxmltools.convert import convert_xgboost

    model = mlflow.xgboost.load_model(str(snapshot))
    _forget_names(model)
    converted = convert_xgboost(model, initial_types=_one_matrix(signature), target_opset=_OPSET)
    return _form(converted, signature, is_label=hasattr(model, "classes_"))


def compile_lightgbm(snapshot: Path, signature: Signature) -> OnnxForm:
    """Compile a Booster or an estimator of LightGBM."""
    import mlflow.lightgbm
    from onnxmltools.convert import convert_lightgbm

    model = mlflow.lightgbm.load_model(str(snapshot))
    converted = convert_lightgbm(model, initial_types=_one_matrix(signature), target_opset=_OPSET, zipmap=False)
    return _form(converted, signature, is_label=hasattr(model, "classes_"))


def compile_catboost(snapshot: Path, signature: Signature) -> OnnxForm:
    """Compile an estimator of CatBoost without categorical features.

    Raises:
        NotCompilable: it has categorical features.
    """
    import mlflow.catboost

    model: Any = mlflow.catboost.load_model(str(snapshot))
    if model.get_cat_feature_indices():
        raise NotCompilable("CatBoost exports no categorical features to ONNX")
    with tempfile.TemporaryDirectory(prefix="lifecycle-catboost-") as folder:
        path = Path(folder, "model.onnx")
        model.save_model(str(path), format="onnx")
        written = onnx.load(path)
    for output in written.graph.output:  # declared as (rows,), which a regressor's is not
        if output.name == "predictions":
            output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, [None, 1]))
    return _form(written, signature, is_label=hasattr(model, "classes_") and len(model.classes_) > 0)


def _forget_names(model: Any) -> None:
    """Onnxmltools wants features called f0, f1 …; without names XGBoost writes its trees so."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    booster.feature_names = None


def register(loaded: Iterable[str]) -> None:
    """Make the boosters that are imported known to skl2onnx, as steps of pipelines.

    Args:
        loaded: Names of imported modules.

    Raises:
        NotCompilable: onnxmltools is not installed.
    """
    wanted = {"xgboost", "lightgbm"}.intersection(loaded)
    if not wanted:
        return
    if find_spec("onnxmltools") is None:
        raise NotCompilable("onnxmltools is not here; run: pip install 'mlflow-lifecycle[boosters]'")
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import (
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    answers = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    for name in wanted:
        classifier, regressor, write = _STEPS[name]()
        update_registered_converter(
            classifier,
            f"Boosted{name}Classifier",
            calculate_linear_classifier_output_shapes,
            write,
            options=answers,
        )
        update_registered_converter(
            regressor, f"Boosted{name}Regressor", calculate_linear_regressor_output_shapes, write
        )


def _xgboost_steps() -> tuple[Any, Any, Any]:
    import xgboost
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

    def write(scope: Any, operator: Any, container: Any) -> None:
        _forget_names(operator.raw_operator)
        convert_xgboost(scope, operator, container)

    return xgboost.XGBClassifier, xgboost.XGBRegressor, write


def _lightgbm_steps() -> tuple[Any, Any, Any]:
    import lightgbm
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

    return lightgbm.LGBMClassifier, lightgbm.LGBMRegressor, convert_lightgbm


_STEPS: Mapping[str, Callable[[], tuple[Any, Any, Any]]] = {
    "xgboost": _xgboost_steps,
    "lightgbm": _lightgbm_steps,
}


def _one_matrix(signature: Signature) -> list[tuple[str, Any]]:
    from onnxmltools.convert.common.data_types import FloatTensorType

    width = signature.inputs[0].shape[1] if signature.inputs[0].shape else len(signature.inputs)
    return [("rows", FloatTensorType([None, width]))]


def _form(model: ModelProto, signature: Signature, *, is_label: bool) -> OnnxForm:
    """Pyfunc answers with an estimator's labels, and with a Booster's scores: of two classes the second's."""
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
    take(model, signature, [model.graph.input[0].name])
    outputs = [output.name for output in model.graph.output]
    if is_label or len(outputs) == 1:
        return OnnxForm(model, (outputs[0],))
    scores = model.graph.output[1].type.tensor_type.shape.dim
    if len(scores) == 2 and scores[1].dim_value in (0, 2):
        return OnnxForm(model, (one_column_each(model, outputs[1], 2)[1],))
    return OnnxForm(model, (outputs[1],))
