"""scikit-learn's transformers that skl2onnx does not convert exactly, and what converters are written with.

- ONNX Runtime has no float64 ``Imputer``; ``Where(IsNaN(x), fill, x)`` is equal for any float.
- ``FunctionTransformer`` and ``TransformedTargetRegressor`` convert where the function is one of numpy's
  :data:`FUNCTIONS`.
- Text is made small by the locale ``C.UTF-8``: skl2onnx asks for ``en_US.UTF-8``, which few containers have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from skl2onnx.operator_converters.one_hot_encoder import convert_sklearn_one_hot_encoder
from skl2onnx.shape_calculators.one_hot_encoder import calculate_sklearn_one_hot_encoder_output_shapes
from sklearn.compose import TransformedTargetRegressor
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PowerTransformer

_LEAST_OPSET = {"": 21, "ai.onnx.ml": 3}


class Nodes:
    """Writes the nodes of one step into the graph; a node is known by the name of its output.

    Attributes:
        step: The fitted estimator.
        outputs: Names that the step's outputs must have.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.step: Any = operator.raw_operator
        self.outputs: list[str] = [output.full_name for output in operator.outputs]
        self.operator = operator
        self.scope, self.container = scope, container

    @property
    def dtype(self) -> type[np.floating[Any]]:
        """The type in which scikit-learn computes: float32 only if all that it is given is float32."""
        return np.float32 if all(isinstance(i.type, FloatTensorType) for i in self.operator.inputs) else np.float64

    def matrix(self) -> str:
        """All inputs as one matrix of :attr:`dtype`."""
        parts = [
            given.full_name
            if isinstance(given.type, (DoubleTensorType, FloatTensorType)[self.dtype == np.float32])
            else self.cast(given.full_name, self.dtype)
            for given in self.operator.inputs
        ]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)

    def add(self, kind: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        output = output or self.scope.get_unique_variable_name(kind.lower())
        self.container.add_node(
            kind,
            list(inputs),
            output,
            op_domain=domain,
            op_version=_LEAST_OPSET[domain],
            name=self.scope.get_unique_operator_name(kind),
            **attributes,
        )
        return output

    def cast(self, source: str, dtype: Any, output: str = "") -> str:
        """Add a Cast to a numpy type."""
        return self.add("Cast", source, output=output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Add a constant, by default of :attr:`dtype`; texts for an object array."""
        array: NDArray[Any] = np.asarray(values, dtype or self.dtype)
        name: str = self.scope.get_unique_variable_name("constant")
        if array.dtype.kind in "OU":
            kind, content = TensorProto.STRING, [str(value).encode() for value in array.ravel()]
        else:
            kind, content = helper.np_dtype_to_tensor_dtype(array.dtype), array.ravel().tolist()
        self.container.add_initializer(name, kind, list(array.shape), content)
        return name


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one class of estimators is converted.

    Attributes:
        write: Writes the nodes.
        shape: Sets types and shapes of the outputs; None where skl2onnx knows them.
    """

    write: Callable[[Nodes], None]
    shape: Callable[[Any], None] | None = None

    def convert(self, scope: Any, operator: Any, container: Any) -> None:
        """Called by skl2onnx."""
        self.write(Nodes(scope, operator, container))


def _impute(nodes: Nodes) -> None:
    imputer = nodes.step
    statistics = np.asarray(imputer.statistics_)
    numeric = statistics.dtype.kind == "f" and not np.isnan(statistics).any()
    marker = imputer.missing_values
    if not numeric or not (isinstance(marker, float) and np.isnan(marker)):
        raise NotImplementedError("only numeric columns without an empty one, whose missing values are NaN")
    matrix = nodes.matrix()
    missing = nodes.add("IsNaN", matrix)
    parts = [nodes.constant([statistics]), matrix]
    if not imputer.add_indicator:
        nodes.add("Where", missing, *parts, output=nodes.outputs[0])
        return
    indicator = nodes.add("Gather", missing, nodes.constant(imputer.indicator_.features_, np.int64), axis=1)
    filled = nodes.add("Where", missing, *parts)
    nodes.add("Concat", filled, nodes.cast(indicator, nodes.dtype), output=nodes.outputs[0], axis=1)


def _width(operator: Any) -> int:
    return int(operator.raw_operator.n_features_in_)


def _imputed_shape(operator: Any) -> None:
    imputer = operator.raw_operator
    more = len(imputer.indicator_.features_) if imputer.add_indicator else 0
    _set_float(operator, _width(operator) + more)


def _set_float(operator: Any, width: int) -> None:
    single = all(isinstance(given.type, FloatTensorType) for given in operator.inputs)
    operator.outputs[0].type = (FloatTensorType if single else DoubleTensorType)([None, width])


def _indicate(nodes: Nodes) -> None:
    missing = nodes.add("IsNaN", nodes.matrix())
    chosen = nodes.add("Gather", missing, nodes.constant(nodes.step.features_, np.int64), axis=1)
    nodes.cast(chosen, nodes.dtype, nodes.outputs[0])


def _log1p(nodes: Nodes, source: str, output: str) -> None:
    nodes.add("Log", nodes.add("Add", source, nodes.constant(1)), output=output)


def _expm1(nodes: Nodes, source: str, output: str) -> None:
    nodes.add("Sub", nodes.add("Exp", source), nodes.constant(1), output=output)


def _square(nodes: Nodes, source: str, output: str) -> None:
    nodes.add("Mul", source, source, output=output)


def _named(kind: str) -> Callable[[Nodes, str, str], None]:
    def write(nodes: Nodes, source: str, output: str) -> None:
        nodes.add(kind, source, output=output)

    return write


FUNCTIONS: Mapping[Any, Callable[[Nodes, str, str], None]] = {
    np.log1p: _log1p,
    np.expm1: _expm1,
    np.square: _square,
    np.log: _named("Log"),
    np.exp: _named("Exp"),
    np.sqrt: _named("Sqrt"),
    np.abs: _named("Abs"),
    np.sin: _named("Sin"),
    np.cos: _named("Cos"),
    np.reciprocal: _named("Reciprocal"),
    None: _named("Identity"),
}
"""numpy's functions with an equal in ONNX; None is the identity."""


def _apply(function: Any, nodes: Nodes, source: str, output: str) -> None:
    if function not in FUNCTIONS:
        name = getattr(function, "__name__", type(function).__name__)
        raise NotImplementedError(f"the function {name} has no ONNX form; numpy's log1p, sqrt and others have")
    FUNCTIONS[function](nodes, source, output)


def _transform(nodes: Nodes) -> None:
    if nodes.step.kw_args:
        raise NotImplementedError("a FunctionTransformer with arguments has no ONNX form")
    _apply(nodes.step.func, nodes, nodes.matrix(), nodes.outputs[0])


def _transform_target(nodes: Nodes) -> None:
    step = nodes.step
    if step.transformer is not None:
        raise NotImplementedError("a TransformedTargetRegressor converts with func and inverse_func only")
    inner = nodes.scope.declare_local_operator(_alias(step.regressor_), step.regressor_)
    inner.inputs = nodes.operator.inputs
    answer = nodes.scope.declare_local_variable("answer", nodes.operator.outputs[0].type)
    inner.outputs.append(answer)
    _apply(step.inverse_func, nodes, answer.full_name, nodes.outputs[0])


def _alias(model: Any) -> str:
    from skl2onnx._supported_operators import _get_sklearn_operator_name

    name: str = _get_sklearn_operator_name(type(model))
    return name


def _one_float(operator: Any) -> None:
    _set_float(operator, 1)


def _same_float(operator: Any) -> None:
    _set_float(operator, sum(given.type.shape[1] for given in operator.inputs))


def _indicated_shape(operator: Any) -> None:
    _set_float(operator, len(operator.raw_operator.features_))


def _power(nodes: Nodes) -> None:
    """Yeo-Johnson and Box-Cox by column, and the scaling after it (Yeo and Johnson, Biometrika 87, 2000)."""
    step, source = nodes.step, nodes.matrix()
    if step.method == "box-cox":
        shown = _powers(nodes, source, step.lambdas_)
    else:
        one = nodes.constant(1)
        positive = _powers(nodes, nodes.add("Max", nodes.add("Add", source, one), one), step.lambdas_)
        negative = _powers(nodes, nodes.add("Max", nodes.add("Sub", one, source), one), 2 - step.lambdas_)
        is_negative = nodes.add("Less", source, nodes.constant(0))
        shown = nodes.add("Where", is_negative, nodes.add("Neg", negative), positive)
        # Max drops NaN on some machines
        shown = nodes.add("Where", nodes.add("IsNaN", source), source, shown)
    if step.standardize:
        centred = nodes.add("Sub", shown, nodes.constant([step._scaler.mean_]))
        shown = nodes.add("Div", centred, nodes.constant([step._scaler.scale_]))
    nodes.add("Identity", shown, output=nodes.outputs[0])


def _powers(nodes: Nodes, source: str, exponents: NDArray[np.float64]) -> str:
    """``(x ** p - 1) / p`` by column, and its limit ``log(x)`` where p is zero."""
    zero = np.abs(exponents) < np.finfo(np.float64).eps
    safe = nodes.constant([np.where(zero, 1.0, exponents)])
    raised = nodes.add("Div", nodes.add("Sub", nodes.add("Pow", source, safe), nodes.constant(1)), safe)
    if not zero.any():
        return raised
    return nodes.add("Where", nodes.constant([zero], np.bool_), nodes.add("Log", source), raised)


def _one_hot(nodes: Nodes) -> None:
    """Categories of which the rare ones are one column, and unseen ones belong to it; others as skl2onnx does."""
    step, parts = nodes.step, []
    if step.handle_unknown != "infrequent_if_exist":
        convert_sklearn_one_hot_encoder(nodes.scope, nodes.operator, nodes.container)
        return
    if step.drop is not None:
        raise NotImplementedError("a OneHotEncoder with both rare categories and drop")
    for number, column in enumerate(_columns(nodes)):
        places, rare = step._default_to_infrequent_mappings[number], step.infrequent_categories_[number]
        categories, width = step.categories_[number], step._n_features_outs[number]
        places = np.arange(len(categories)) if places is None else places
        if categories.dtype.kind not in "OU":
            raise NotImplementedError("a OneHotEncoder with rare categories that are no text")
        elsewhere = width - 1 if rare is not None else width  # a column more, which is cut off
        keys = [str(category) for category in categories]  # missing ones are "nan" here and in requests
        place = nodes.add(
            "LabelEncoder",
            column,
            domain="ai.onnx.ml",
            keys_strings=keys,
            values_int64s=[int(place) for place in places],
            default_int64=int(elsewhere),
        )
        wide = nodes.add(
            "OneHot", place, nodes.constant(width + 1, np.int64), nodes.constant([0, 1], np.float32), axis=1
        )
        parts.append(nodes.add("Gather", wide, nodes.constant(np.arange(width), np.int64), axis=1))
    joined = parts[0] if len(parts) == 1 else nodes.add("Concat", *parts, axis=1)
    single = isinstance(nodes.operator.outputs[0].type, FloatTensorType)
    nodes.cast(joined, np.float32 if single else np.float64, nodes.outputs[0])


def _columns(nodes: Nodes) -> Iterator[str]:
    """Each column of the inputs, of shape (rows,)."""
    for given in nodes.operator.inputs:
        for column in range(given.type.shape[1]):
            yield nodes.add("Gather", given.full_name, nodes.constant(column, np.int64), axis=1)


def _one_hot_shape(operator: Any) -> None:
    calculate_sklearn_one_hot_encoder_output_shapes(operator)
    if operator.raw_operator.handle_unknown == "infrequent_if_exist":
        operator.outputs[0].type.shape = [None, int(sum(operator.raw_operator._n_features_outs))]


STEPS: Mapping[type, Conversion] = {
    OneHotEncoder: Conversion(_one_hot, _one_hot_shape),
    SimpleImputer: Conversion(_impute, _imputed_shape),
    MissingIndicator: Conversion(_indicate, _indicated_shape),
    FunctionTransformer: Conversion(_transform, _same_float),
    TransformedTargetRegressor: Conversion(_transform_target, _one_float),
    PowerTransformer: Conversion(_power, _same_float),
}
