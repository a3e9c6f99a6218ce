"""Check a model that came as an ONNX file, give it a signature and reference rows, and register it."""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import onnx
import onnxruntime
from mlflow.models import infer_signature
from sklearn.metrics import accuracy_score
from tumours import LABEL, arrived, tumours

import lifecycle


def main() -> None:
    """No model is trained here: all that is known of the model is its file and labelled rows."""
    arguments = _arguments()
    file = arrived(Path(arguments.file), arguments.rows)
    model = checked(file)
    known = tumours(arguments.known)
    measures = known.drop(columns=LABEL).to_numpy()
    ((name, probabilities),) = answers(file, measures).items()
    with mlflow.start_run(run_name=f"{arguments.model} from {file.name}"):
        mlflow.log_metric("accuracy", accuracy_score(known[LABEL], probabilities.argmax(axis=1)))

        lifecycle.track(known, label=LABEL)

        logged = mlflow.onnx.log_model(
            model,
            name="model",
            registered_model_name=arguments.model,
            signature=infer_signature(measures, {name: probabilities}),
            input_example=measures[:5],
            pip_requirements=[f"{package}=={version(package)}" for package in ("onnx", "onnxruntime", "numpy")],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
    print(f"registered models:/{arguments.model}/{logged.registered_model_version}")


def checked(file: Path) -> onnx.ModelProto:
    """The model. Raises SystemExit unless it is valid ONNX with one input of any number of rows and one output."""
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    weights = {constant.name for constant in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise SystemExit(f"{file}: this project is for models with one input and one output")
    rows = inputs[0].type.tensor_type.shape.dim[0]
    if rows.dim_value:
        raise SystemExit(f"{file}: takes {rows.dim_value} rows; ask for an export with a dynamic first axis")
    return model


def answers(file: Path, measures: np.ndarray) -> dict[str, np.ndarray]:
    """Its output by name."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: measures})
    return {output.name: values for output, values in zip(session.get_outputs(), found, strict=True)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", default="arrived/tumours.onnx", help="the model; made if it is not there")
    parser.add_argument("--rows", default="0-250", help="tumours that its maker had")
    parser.add_argument("--known", default="250-410", help="labelled tumours of our own")
    parser.add_argument("--model", default="tumours", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
