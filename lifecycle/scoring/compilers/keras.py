"""Keras models (``mlflow.keras``), on TensorFlow or on PyTorch, whichever backend Keras is set to."""

from __future__ import annotations

from pathlib import Path

from lifecycle.scoring.compilers.contract import NotCompilable, OnnxForm
from lifecycle.scoring.signature import Signature


def compile_model(snapshot: Path, signature: Signature) -> OnnxForm:
    """Convert a Keras model.

    Raises:
        NotCompilable: Keras runs on JAX, or the inputs are no tensors.
    """
    import keras
    import mlflow.keras

    model = mlflow.keras.load_model(str(snapshot))
    if keras.backend.backend() == "tensorflow":
        from lifecycle.scoring.compilers.tensorflow import keras_form

        return keras_form(model, signature)
    if keras.backend.backend() == "torch":
        from lifecycle.scoring.compilers.pytorch import module_form

        return module_form(model, signature)
    raise NotCompilable(f"Keras runs on {keras.backend.backend()}; set KERAS_BACKEND=tensorflow or torch")
