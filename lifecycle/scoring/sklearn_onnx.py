"""scikit-learn pipelines to ONNX, exactly.

skl2onnx alone is inexact or fails in two places, both corrected here:

- ONNX Runtime has no float64 ``Imputer``; ``Where(IsNaN(x), fill, x)`` is equal for any float.
- scikit-learn's trees compare float32, so a Cast goes before each tree ensemble. Without it 9 labels of
  336,776 flights differed, with it none.

Columns of one numeric type become one matrix: thirty inputs of one row each cost ONNX Runtime more
than the model does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common import data_types as types
from sklearn.base import is_classifier
from sklearn.impute import SimpleImputer

from lifecycle.scoring.contract import MATRIX
from lifecycle.scoring.signature import Column, Signature

_LOG = logging.getLogger(__name__)
_TYPES: dict[str, Any] = {
    "double": types.DoubleTensorType,
    "float64": types.DoubleTensorType,
    "float": types.FloatTensorType,
    "float32": types.FloatTensorType,
    "long": types.Int64TensorType,
    "int64": types.Int64TensorType,
    "integer": types.Int32TensorType,
    "int32": types.Int32TensorType,
    "boolean": types.BooleanTensorType,
    "string": types.StringTensorType,
}
_NUMBERS = {"double", "float", "long", "integer", "boolean"}


def sklearn_to_onnx(model: Any, signature: Signature, predict_fn: str) -> tuple[ModelProto, str]:
    """Convert a fitted estimator.

    Args:
        predict_fn: The method that pyfunc calls: ``predict`` or ``predict_proba``.

    Returns:
        The ONNX model and the name of the output that equals ``predict_fn``.

    Raises:
        Exception: skl2onnx's own errors, of many types, when a step has no converter.
    """
    if signature.one_type is not None:
        onnx_model = _with_matrix(model, signature)
    else:
        onnx_model = _with_columns(model, signature)
    _cast_before_trees(onnx_model)
    outputs = [output.name for output in onnx_model.graph.output]
    output = outputs[1 if predict_fn == "predict_proba" else 0]
    keep_only(onnx_model, output)
    return onnx_model, output


def _with_matrix(model: Any, signature: Signature) -> ModelProto:
    """One matrix input; for steps that pick columns by name it is split."""
    try:
        return _convert(model, [(MATRIX, _TYPES[signature.inputs[0].type]([None, len(signature.inputs)]))])
    except Exception:  # of many types: skl2onnx raises whatever the failing converter raises
        _LOG.debug("no conversion with one matrix", exc_info=True)
        onnx_model = _convert(model, [(c.name, _tensor_type(c)) for c in signature.inputs])
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
        onnx_model = _convert(model, [(MATRIX, types.DoubleTensorType([None, len(signature.inputs)]))])
        gather_columns(onnx_model, signature)
        return onnx_model


def _convert(model: Any, inputs: list[tuple[str, Any]]) -> ModelProto:
    return convert_sklearn(
        model,
        name="model",  # by default a random one, and the same snapshot would give other bytes each time
        initial_types=inputs,
        options={id(model): {"zipmap": False}} if is_classifier(model) else None,
        custom_conversion_functions={SimpleImputer: _convert_imputer},
        custom_shape_calculators={SimpleImputer: _set_imputer_shape},
    )


def one_value_a_row(model: ModelProto, output: str) -> str:
    """Make the model answer with a vector where scikit-learn does: skl2onnx gives regressors a column.

    Returns:
        The name of the vector output.
    """
    graph, flat, shape = model.graph, f"{output}_flat", f"{output}_flat_shape"
    column = next(o.type.tensor_type for o in graph.output if o.name == output)
    if len(column.shape.dim) == 1:
        return output
    graph.initializer.append(helper.make_tensor(shape, TensorProto.INT64, [1], [-1]))
    graph.node.append(helper.make_node("Reshape", [output, shape], [flat]))
    graph.output.append(helper.make_tensor_value_info(flat, column.elem_type, [None]))
    return flat


def _tensor_type(column: Column) -> Any:
    width = 1 if column.shape is None else column.shape[1]
    return _TYPES[column.type]([None, width])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    imputer = operator.raw_operator
    fill, is_nan = (scope.get_unique_variable_name(name) for name in ("fill", "is_nan"))
    source = operator.inputs[0].full_name
    if len(operator.inputs) > 1 or not _fills_nan(imputer):
        raise NotImplementedError("only numeric imputers that fill NaN and add no indicator convert")
    kind = TensorProto.DOUBLE if isinstance(operator.inputs[0].type, types.DoubleTensorType) else TensorProto.FLOAT
    container.add_initializer(fill, kind, [1, len(imputer.statistics_)], imputer.statistics_.tolist())
    container.add_node("IsNaN", source, is_nan, op_version=13, name=scope.get_unique_operator_name("IsNaN"))
    container.add_node(
        "Where",
        [is_nan, fill, source],
        operator.outputs[0].full_name,
        op_version=9,
        name=scope.get_unique_operator_name("Where"),
    )


def _fills_nan(imputer: SimpleImputer) -> bool:
    statistics = np.asarray(imputer.statistics_)
    numeric = statistics.dtype.kind == "f" and not np.isnan(statistics).any()
    marker_is_nan = isinstance(imputer.missing_values, float) and np.isnan(imputer.missing_values)
    return numeric and marker_is_nan and not imputer.add_indicator


def _set_imputer_shape(operator: Any) -> None:
    operator.outputs[0].type = type(operator.inputs[0].type)([None, operator.raw_operator.n_features_in_])


def _cast_before_trees(model: ModelProto) -> None:
    nodes = model.graph.node
    for index in reversed(range(len(nodes))):
        if nodes[index].op_type.startswith("TreeEnsemble"):
            source = nodes[index].input[0]
            single = f"{source}_as_float32"
            nodes[index].input[0] = single
            nodes.insert(index, helper.make_node("Cast", [source], [single], to=TensorProto.FLOAT))


_SPLIT_SINCE = 13
"""The first opset whose Split takes the widths as an input."""
_ELEMENTS = {
    "double": TensorProto.DOUBLE,
    "float": TensorProto.FLOAT,
    "long": TensorProto.INT64,
    "integer": TensorProto.INT32,
    "boolean": TensorProto.BOOL,
}


def split_matrix(model: ModelProto, signature: Signature) -> None:
    """Replace the one-per-column inputs of a model by the one input :data:`MATRIX`.

    Raises:
        NotImplementedError: the model's opset is too old.
    """
    if next(o.version for o in model.opset_import if o.domain == "") < _SPLIT_SINCE:
        raise NotImplementedError(f"opset {_SPLIT_SINCE} or later is needed")
    graph, width = model.graph, len(signature.inputs)
    columns = [given.name for given in graph.input]
    widths = f"{MATRIX}_widths"
    graph.initializer.append(helper.make_tensor(widths, TensorProto.INT64, [width], [1] * width))
    graph.node.insert(0, helper.make_node("Split", [MATRIX, widths], columns, axis=1))
    _set_inputs(model, [(MATRIX, _ELEMENTS[signature.inputs[0].type], width)])


def gather_columns(model: ModelProto, signature: Signature) -> None:
    """Replace the one input :data:`MATRIX` of doubles by one input per column."""
    doubles = [f"{MATRIX}_{i}" for i in range(len(signature.inputs))]
    model.graph.node.insert(0, helper.make_node("Concat", doubles, [MATRIX], axis=1))
    for name, double in zip(signature.names, doubles, strict=True):
        model.graph.node.insert(0, helper.make_node("Cast", [name], [double], to=TensorProto.DOUBLE))
    _set_inputs(model, [(c.name, _ELEMENTS[c.type], 1) for c in signature.inputs])


def keep_only(model: ModelProto, output: str) -> None:
    """Remove nodes that one output does not need: ONNX Runtime would compute them for every request."""
    graph, needed = model.graph, {output}
    kept = []
    for node in reversed(graph.node):  # in the order of execution
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    outputs = [value for value in graph.output if value.name == output]
    constants = [value for value in graph.initializer if value.name in needed]
    del graph.node[:], graph.output[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(outputs)
    graph.initializer.extend(constants)


def _set_inputs(model: ModelProto, inputs: Iterable[tuple[str, int, int]]) -> None:
    """Replace the inputs by these: name, type of the elements, number of columns."""
    del model.graph.input[:]
    model.graph.input.extend(
        helper.make_tensor_value_info(name, kind, [None, width]) for name, kind, width in inputs
    )
