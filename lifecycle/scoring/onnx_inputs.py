"""The two ends of an ONNX graph: rows as one matrix or as columns, and no output but the one that is asked for."""

from __future__ import annotations

from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from lifecycle.scoring.matrix import MATRIX
from lifecycle.scoring.signature import Signature

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
    """Give a model with one input a column the one input :data:`MATRIX` instead.

    Raises:
        NotImplementedError: its opset is too old for that.
    """
    if next(o.version for o in model.opset_import if o.domain == "") < _SPLIT_SINCE:
        raise NotImplementedError(f"opset {_SPLIT_SINCE} or later is needed")
    graph, width = model.graph, len(signature.inputs)
    columns = [given.name for given in graph.input]
    widths = f"{MATRIX}_widths"
    graph.initializer.append(helper.make_tensor(widths, TensorProto.INT64, [width], [1] * width))
    graph.node.insert(0, helper.make_node("Split", [MATRIX, widths], columns, axis=1))
    _set_inputs(model, [_input(MATRIX, _ELEMENTS[signature.inputs[0].type], width)])


def gather_columns(model: ModelProto, signature: Signature) -> None:
    """Give a model with the one input :data:`MATRIX` of doubles one input a column instead."""
    doubles = [f"{MATRIX}_{i}" for i in range(len(signature.inputs))]
    model.graph.node.insert(0, helper.make_node("Concat", doubles, [MATRIX], axis=1))
    for name, double in zip(signature.names, doubles, strict=True):
        model.graph.node.insert(0, helper.make_node("Cast", [name], [double], to=TensorProto.DOUBLE))
    _set_inputs(model, [_input(c.name, _ELEMENTS[c.type], 1) for c in signature.inputs])


def keep_only(model: ModelProto, output: str) -> None:
    """Leave out what is not needed for one output: ONNX Runtime would compute it for every request."""
    graph, needed = model.graph, {output}
    kept = []
    for node in reversed(graph.node):  # which are in the order of their execution
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    outputs = [value for value in graph.output if value.name == output]
    constants = [value for value in graph.initializer if value.name in needed]
    del graph.node[:], graph.output[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(outputs)
    graph.initializer.extend(constants)


def _input(name: str, element: int, width: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, [None, width])


def _set_inputs(model: ModelProto, inputs: list[ValueInfoProto]) -> None:
    del model.graph.input[:]
    model.graph.input.extend(inputs)
