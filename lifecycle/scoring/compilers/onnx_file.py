"""ONNX models (``mlflow.onnx``): as they are, with their inputs under the signature's names."""

from __future__ import annotations

from pathlib import Path

import onnx
import yaml
from onnx import ModelProto, helper

from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.compilers.graph import take
from lifecycle.scoring.signature import Signature

_OPSETS = range(7, onnx.defs.onnx_opset_version() + 1)
"""Opsets that ONNX Runtime guarantees to run: https://onnxruntime.ai/docs/reference/compatibility.html"""
_OURS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}


def compile_model(snapshot: Path, signature: Signature) -> OnnxForm:
    """Read the file, check its opset and operators, and give it the scorer's inputs.

    Raises:
        NotCompilable: its opset or an operator of it is not ONNX Runtime's.
    """
    mlmodel = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))
    model = onnx.load(snapshot / Path(mlmodel["flavors"]["onnx"]["data"]))
    _demand_known(model)
    outputs = tuple(output.name for output in model.graph.output)
    weights = {constant.name for constant in model.graph.initializer}
    inputs = [given.name for given in model.graph.input if given.name not in weights]
    if signature.is_tensor and all(column.name in inputs for column in signature.inputs):
        inputs = [column.name for column in signature.inputs]
    if signature.is_tensor or len(inputs) == 1:
        take(model, signature, inputs)
    else:
        _take_each(model, signature, inputs)
    return OnnxForm(model, outputs)


def _demand_known(model: ModelProto) -> None:
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version not in _OPSETS:
            raise NotCompilable(f"opset {opset.version}; ONNX Runtime runs {_OPSETS.start} to {_OPSETS.stop - 1}")
    foreign = {f"{node.domain}:{node.op_type}" for node in model.graph.node if node.domain not in _OURS}
    if foreign:
        raise NotCompilable(f"operator {min(foreign)} is not ONNX's; ONNX Runtime does not have it")


def _take_each(model: ModelProto, signature: Signature, inputs: list[str]) -> None:
    """One input a column, by name, of shape (rows,) as MLflow gives them, or (rows, 1)."""
    given = {value.name: value for value in model.graph.input}
    if signature.one_type is not None or set(inputs) != set(signature.names):
        raise NotImplementedError("several inputs for columns of one type, or with other names than the columns")
    for name in signature.names:
        tensor = given[name].type.tensor_type
        if len(tensor.shape.dim) == 1:
            model.graph.initializer.append(helper.make_tensor(f"{name}_flat", onnx.TensorProto.INT64, [1], [-1]))
            for node in model.graph.node:
                node.input[:] = [f"{name}_vector" if used == name else used for used in node.input]
            reshape = helper.make_node("Reshape", [name, f"{name}_flat"], [f"{name}_vector"])
            model.graph.node.insert(0, reshape)
            model.graph.input.remove(given[name])
            model.graph.input.append(helper.make_tensor_value_info(name, tensor.elem_type, [None, 1]))
