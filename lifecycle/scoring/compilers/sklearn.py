"""scikit-learn pipelines to ONNX, exactly.

skl2onnx alone is inexact or fails for a number of steps. What is corrected:

- single steps: :mod:`lifecycle.scoring.compilers.sklearn_steps` and ``sklearn_models``;
- scikit-learn's trees compare float32, so a Cast goes before each tree ensemble. Without it 9 labels of
  336,776 flights differed, with it none: :func:`lifecycle.scoring.compilers.graph.exact_trees`.

Columns of one numeric type become one matrix: thirty inputs of one row each cost ONNX Runtime more
than the model does.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from onnx import ModelProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int32TensorType,
    Int64TensorType,
    StringTensorType,
)
from skl2onnx.common.utils import InvalidInputLengthException
from sklearn.base import BaseEstimator

from lifecycle.scoring.compilers.boosters import register
from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.compilers.graph import exact_trees, gather_columns, keep_only, portable_text, split_matrix
from lifecycle.scoring.compilers.sklearn_models import MODELS
from lifecycle.scoring.compilers.sklearn_steps import STEPS
from lifecycle.scoring.contract import MATRIX
from lifecycle.scoring.signature import Column, Signature

_LOG = logging.getLogger(__name__)
_TYPES: dict[str, Any] = {
    "double": DoubleTensorType,
    "float64": DoubleTensorType,
    "float": FloatTensorType,
    "float32": FloatTensorType,
    "long": Int64TensorType,
    "int64": Int64TensorType,
    "integer": Int32TensorType,
    "int32": Int32TensorType,
    "boolean": BooleanTensorType,
    "string": StringTensorType,
}
_NUMBERS = {"double", "float", "long", "integer", "boolean"}
_SAME = (("flatten_transform", True, False), ("encode", "onehot", "onehot-dense"))
"""Attributes of steps: name, value that skl2onnx refuses, value with the same predictions."""
_OUTPUTS = {"predict": 0, "predict_proba": 1}
_OPSETS = {"": 21, "ai.onnx.ml": 3}
"""Known to every ONNX Runtime since 1.20; trees with double thresholds need the second."""


def compile_model(snapshot: Path, signature: Signature) -> OnnxForm:
    """Compile a fitted estimator; the output is that of the method that pyfunc calls.

    Raises:
        Exception: skl2onnx's own errors, of many types, when a step has no converter.
    """
    import mlflow.sklearn

    mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
    predict_fn = mlmodel["flavors"]["python_function"].get("predict_fn", "predict")
    if predict_fn not in _OUTPUTS:
        raise NotCompilable(f"pyfunc calls {predict_fn}; predict and predict_proba compile")
    model = mlflow.sklearn.load_model(str(snapshot))
    register(sys.modules)
    return to_onnx(model, signature, predict_fn)


def to_onnx(model: Any, signature: Signature, predict_fn: str) -> OnnxForm:
    """Convert a fitted estimator, which is changed where predictions do not depend on it."""
    _simplify(model)
    onnx_model = (
        _with_matrix(model, signature) if signature.one_type is not None else _with_columns(model, signature)
    )
    exact_trees(onnx_model)
    portable_text(onnx_model)
    output = onnx_model.graph.output[_OUTPUTS[predict_fn]].name
    keep_only(onnx_model, [output])
    return OnnxForm(onnx_model, (output,))


def _with_matrix(model: Any, signature: Signature) -> ModelProto:
    """One matrix input; for steps that pick columns by name it is split."""
    try:
        return _convert(model, [(MATRIX, _TYPES[signature.inputs[0].type]([None, len(signature.inputs)]))])
    except Exception as exc:  # of many types: skl2onnx raises whatever the failing converter raises
        _LOG.debug("no conversion with one matrix", exc_info=True)
        try:
            onnx_model = _convert(model, [(c.name, _tensor_type(c)) for c in signature.inputs])
        except InvalidInputLengthException:  # a step that takes a matrix; the first error says more
            raise exc from None
        split_matrix(onnx_model, signature)
        return onnx_model


def _with_columns(model: Any, signature: Signature) -> ModelProto:
    """One input per column; for an estimator that takes a matrix they are joined as doubles, as in pandas."""
    try:
        return _convert(model, [(c.name or "input", _tensor_type(c)) for c in signature.inputs])
    except Exception:
        if signature.is_tensor or any(c.type not in _NUMBERS for c in signature.inputs):
            raise
        _LOG.debug("no conversion with single columns", exc_info=True)
        onnx_model = _convert(model, [(MATRIX, DoubleTensorType([None, len(signature.inputs)]))])
        gather_columns(onnx_model, signature)
        return onnx_model


def _convert(model: Any, inputs: list[tuple[str, Any]]) -> ModelProto:
    own, last = {**STEPS, **MODELS}, _last_step(model)
    return convert_sklearn(
        model,
        name="model",  # by default a random one, and the same snapshot would give other bytes each time
        initial_types=inputs,
        target_opset=_OPSETS,
        options={id(last): {"zipmap": False} if hasattr(last, "predict_proba") else {}},
        custom_conversion_functions={kind: step.convert for kind, step in own.items()},
        custom_shape_calculators={kind: step.shape for kind, step in own.items() if step.shape},
    )


def _simplify(model: Any) -> None:
    """Set what skl2onnx refuses although predictions do not depend on it, in a model and all of its steps."""
    for step in [model, *_steps_of(model)]:
        for name, refused, same in _SAME:
            if getattr(step, name, None) == refused:
                setattr(step, name, same)


def _steps_of(model: Any) -> Iterator[Any]:
    """All estimators inside of a fitted one."""
    for value in vars(model).values() if isinstance(model, BaseEstimator) else ():
        for part in _flat(value):
            if isinstance(part, BaseEstimator):
                yield part
                yield from _steps_of(part)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _flat(part)
    else:
        yield value


def _last_step(model: Any) -> Any:
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    return model


def _tensor_type(column: Column) -> Any:
    width = 1 if column.shape is None else column.shape[1]
    return _TYPES[column.type]([None, width])
