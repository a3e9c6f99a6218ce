"""TensorFlow and Keras models (``mlflow.tensorflow``, ``mlflow.keras``) by tf2onnx, from one concrete function.

https://github.com/onnx/tensorflow-onnx
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf2onnx
import yaml
from onnx import ModelProto, numpy_helper

from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.compilers.graph import take
from lifecycle.scoring.signature import Column, Signature

OPSET = 18
"""The latest that tf2onnx writes."""


def compile_model(snapshot: Path, signature: Signature) -> OnnxForm:
    """Convert a Keras model, a SavedModel's signature or a tf.Module, for any number of rows.

    Raises:
        NotCompilable: the inputs are no tensors.
        Exception: tf2onnx's own errors, when an operator has no ONNX form.
    """
    import mlflow.tensorflow

    model = mlflow.tensorflow.load_model(str(snapshot))
    flavor = yaml.safe_load((snapshot / "MLmodel").read_text(encoding="utf-8"))["flavors"]["tensorflow"]
    if flavor.get("model_type") == "tf2-model":
        return _of_signature(
            model.signatures[flavor["signature_def_key"]] if "signature_def_key" in flavor else model, signature
        )
    return keras_form(model, signature)


def keras_form(model: Any, signature: Signature) -> OnnxForm:
    """Convert a Keras model that runs on TensorFlow."""
    specs = _specs(signature)
    names = [column.name for column in signature.inputs] if signature.is_tensor else [""]
    several = len(specs) > 1

    def score(*tensors: Any) -> Any:
        given = dict(zip(names, tensors, strict=True)) if several else tensors[0]
        return model(given, training=False)

    return _form(score, specs, signature)


def _of_signature(function: Any, signature: Signature) -> OnnxForm:
    """Of a SavedModel's function, which takes keywords and answers with a dict."""
    specs = _specs(signature)

    def score(*tensors: Any) -> Any:
        if isinstance(function, tf.Module) and not hasattr(function, "structured_input_signature"):
            return function(tensors[0])
        return function(**dict(zip(signature.names, tensors, strict=True)))

    return _form(score, specs, signature)


def _specs(signature: Signature) -> list[Any]:
    if not signature.is_tensor:
        raise NotCompilable("the signature has columns and not tensors; log it with an array as input_example")
    return [_spec(column, number) for number, column in enumerate(signature.inputs)]


def _spec(column: Column, number: int) -> Any:
    shape = [None, *(None if length < 0 else length for length in (column.shape or ())[1:])]
    return tf.TensorSpec(shape, tf.as_dtype(column.dtype), name=f"input_{number}")


def _form(score: Callable[..., Any], specs: list[Any], signature: Signature) -> OnnxForm:
    function = tf.function(score, input_signature=specs)
    concrete = function.get_concrete_function()
    answer = concrete.structured_outputs
    model: ModelProto
    model, _ = tf2onnx.convert.from_function(function, specs, opset=OPSET)
    _keep_constants(model, zip(concrete.inputs[len(specs) :], concrete.captured_inputs, strict=True))
    outputs = [output.name for output in model.graph.output]
    if isinstance(answer, Mapping):  # by name in alphabetical order, as TensorFlow flattens them
        outputs = [outputs[sorted(answer).index(name)] for name in answer]
    take(model, signature, [given.name for given in model.graph.input])
    return OnnxForm(model, tuple(outputs))


def _keep_constants(model: ModelProto, captured: Iterable[tuple[Any, Any]]) -> None:
    """Put constants that the function refers to into the model, such as a Normalization layer's mean.

    tf2onnx does so with variables and makes inputs of constants.
    """
    values = {given.name: value for given, value in captured if given.dtype != tf.resource}
    for given in [given for given in model.graph.input if given.name in values]:
        model.graph.input.remove(given)
        model.graph.initializer.append(numpy_helper.from_array(values[given.name].numpy(), given.name))
