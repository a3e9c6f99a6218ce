"""What commands, and the programs that train for a test, import first; see :mod:`tests.commands`."""

from __future__ import annotations

import gc
import importlib
import os

# Before anything is imported that would begin to report home.
os.environ |= {"DO_NOT_TRACK": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "ORT_DISABLE_TELEMETRY": "1"}

gc.disable()
for module in (
    "skops.io",  # early: it looks for every function of numpy and scipy in all modules imported so far
    "git",
    "joserfc.jws",
    "lifecycle.assembly",
    "lifecycle.cli",
    "lifecycle.gates.data_quality",
    "lifecycle.gates.drift",
    "lifecycle.gates.latency",
    "lifecycle.gates.parity",
    "lifecycle.gates.performance",
    "lifecycle.gates.safety",
    "lifecycle.gates.signature",
    "lifecycle.registry.mlflow_registry",
    "lifecycle.targets.batch",
    "lifecycle.targets.edge",
    "lifecycle.targets.rest",
    "mlflow.cli",
    "mlflow.deployments",
    "mlflow.models",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.tracking",
    "onnxruntime",
    "pyarrow.parquet",
    "rich.progress",
    "skl2onnx",
    "sklearn.compose",
    "sklearn.dummy",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
):
    importlib.import_module(module)
gc.freeze()  # no command looks for garbage in what it shares with the others
gc.enable()
