"""Go on training a version with newer months, and register the next version."""

from __future__ import annotations

import argparse

import keras
import mlflow
from train import learn_and_register


def main() -> None:
    """Start from the version's weights, which takes a third of the epochs of a new training."""
    arguments = _arguments()
    keras.utils.set_random_seed(0)
    model = mlflow.tensorflow.load_model(arguments.version)
    with mlflow.start_run(run_name=f"{arguments.model} months {arguments.months}, from {arguments.version}"):
        learn_and_register(model, arguments.months, arguments.epochs, 0.001, arguments.model)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/demand/latest", help="URI of the version to start from")
    parser.add_argument("--months", default="3-9", help="months of 2013 to learn from, old and newer")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--model", default="demand", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
