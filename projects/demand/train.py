"""Train the network on some months of departures and register it; two lines of this are mlflow-lifecycle."""

from __future__ import annotations

import argparse
import os
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import keras
import mlflow
from demand import FEATURES, HOURS, LABEL, Windows, as_table, windows
from keras import layers
from mlflow.models import infer_signature

import lifecycle


def network(given: Windows) -> keras.Model:
    """Hours in their own units to the departures of the next hour; it has learned the units from ``given``."""
    units = layers.Normalization()
    units.adapt(given)
    return keras.Sequential(
        [
            layers.Input((HOURS, len(FEATURES))),
            units,
            layers.Conv1D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(1),
        ]
    )


def main() -> None:
    """Train, track held-out hours, log and register the model."""
    arguments = _arguments()
    keras.utils.set_random_seed(0)
    given, _, held_out = windows(arguments.months)
    with mlflow.start_run(run_name=f"{arguments.model} months {arguments.months}"):
        learn_and_register(network(given[~held_out]), arguments.months, arguments.epochs, 0.003, arguments.model)


def learn_and_register(model: keras.Model, months: str, epochs: int, learning_rate: float, name: str) -> None:
    """Learn from three days of four, measure on the others and register; within a run."""
    given, wanted, held_out = windows(months)
    model.compile(keras.optimizers.Adam(learning_rate), loss="mse")
    # logs losses, settings and summary, as autologging would, which needs TensorBoard
    logging = [mlflow.tensorflow.MlflowCallback()]
    model.fit(given[~held_out], wanted[~held_out], batch_size=128, epochs=epochs, callbacks=logging, verbose=0)
    answers = model.predict(given[held_out], verbose=0)
    mlflow.log_metric("mean_absolute_error", float(abs(answers[:, 0] - wanted[held_out]).mean()))

    lifecycle.track(as_table(given[held_out], wanted[held_out]), label=LABEL)

    logged = mlflow.tensorflow.log_model(
        model,
        name="model",
        registered_model_name=name,
        signature=infer_signature(given[held_out], answers),
        input_example=given[held_out][:5],
        pip_requirements=[f"{package}=={version(package)}" for package in ("tensorflow-cpu", "keras", "numpy")],
    )
    print(f"registered models:/{name}/{logged.registered_model_version}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", default="3-6", help="months of 2013 to learn from, such as 3-6")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--model", default="demand", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
