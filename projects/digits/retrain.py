"""Go on training a version with newer digits among the old ones, and register the next version."""

from __future__ import annotations

import argparse

import mlflow
from network import Training
from train import learn_and_register


def main() -> None:
    """Start from the version's weights, which takes a third of the epochs of a new training."""
    arguments = _arguments()
    with mlflow.start_run(run_name=f"{arguments.model} rows {arguments.rows}, from {arguments.version}"):
        mlflow.log_params({"rows": arguments.rows, "epochs": arguments.epochs})
        training = Training(arguments.learning_rate)
        training.network.load_state_dict(mlflow.pytorch.load_model(arguments.version).state_dict())
        learn_and_register(training, arguments.rows, arguments.epochs, arguments.model)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/digits/latest", help="URI of the version to start from")
    parser.add_argument("--rows", default="0-1500", help="images to learn from, old and newer")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--model", default="digits", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
