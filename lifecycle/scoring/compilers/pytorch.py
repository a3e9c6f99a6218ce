"""PyTorch models (``mlflow.pytorch``) by torch's own exporter: modules, exported programs and TorchScript.

https://docs.pytorch.org/docs/stable/onnx_export.html
"""

from __future__ import annotations

import io
import logging
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import torch
from onnx import ModelProto

from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.compilers.graph import take
from lifecycle.scoring.signature import Signature

OPSET = 20
_ROWS = 2  # a dimension of one row would be taken for a constant


def compile_model(snapshot: Path, signature: Signature) -> OnnxForm:
    """Export the model for any number of rows, on the CPU.

    Raises:
        NotCompilable: its number of rows is fixed.
        Exception: torch's own errors, of many types, when it cannot be exported.
    """
    import mlflow.pytorch

    return module_form(mlflow.pytorch.load_model(str(snapshot)), signature)


def module_form(module: Any, signature: Signature) -> OnnxForm:
    """Convert a loaded module."""
    model = _exported(module, _examples(signature))
    own = model.graph.input[0].type.tensor_type.shape.dim
    if own and own[0].dim_value:
        raise NotCompilable("its number of rows is fixed; log it with an input_example of two rows or more")
    take(model, signature, [given.name for given in model.graph.input])
    return OnnxForm(model, tuple(output.name for output in model.graph.output))


def _examples(signature: Signature) -> tuple[torch.Tensor, ...]:
    if not signature.is_tensor:  # as mlflow.pytorch makes an array of a table
        return (torch.zeros((_ROWS, len(signature.inputs)), dtype=torch.float32),)
    shapes = [(_ROWS, *(column.shape or ())[1:]) for column in signature.inputs]
    if any(length < 0 for shape in shapes for length in shape):
        raise NotCompilable("a dimension other than the rows is dynamic")
    pairs = zip(shapes, signature.inputs, strict=True)
    return tuple(torch.from_numpy(np.zeros(shape, column.dtype)) for shape, column in pairs)


def _exported(module: Any, examples: tuple[torch.Tensor, ...]) -> ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own inside
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        if isinstance(module, torch.jit.ScriptModule):
            return _from_script(module, examples)
        rows = torch.export.Dim("rows", min=1)
        program = torch.onnx.export(
            module,
            examples,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=tuple({0: rows} for _ in examples),
            verbose=False,
        )
        model: ModelProto = cast("torch.onnx.ONNXProgram", program).model_proto
        return model


def _from_script(module: Any, examples: tuple[torch.Tensor, ...]) -> ModelProto:
    """TorchScript has no graph that the newer exporter takes."""
    file: Any = io.BytesIO()
    names = [f"input_{number}" for number in range(len(examples))]
    torch.onnx.export(
        module,
        examples,
        file,
        dynamo=False,
        opset_version=OPSET,
        input_names=names,
        dynamic_axes={name: {0: "rows"} for name in names},
    )
    return onnx.load_model_from_string(file.getvalue())
