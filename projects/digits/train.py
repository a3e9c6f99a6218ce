"""Train the network on the first writers' digits and register it; two lines of this are mlflow-lifecycle."""

from __future__ import annotations

import argparse
from importlib.metadata import version

import mlflow
import torch
from digits import LABEL, as_table, digits, held_out
from mlflow.models import infer_signature
from network import Training

import lifecycle


def main() -> None:
    """Train with checkpoints, track held-out images, log and register the model."""
    arguments = _arguments()
    with mlflow.start_run(run_name=f"{arguments.model} rows {arguments.rows}"):
        mlflow.log_params({"rows": arguments.rows, "epochs": arguments.epochs})
        training = Training(arguments.learning_rate)
        if arguments.resume:
            training.resume(arguments.resume)
        learn_and_register(training, arguments.rows, arguments.epochs, arguments.model)


def learn_and_register(training: Training, rows: str, epochs: int, model: str) -> None:
    """Learn from three quarters of the rows, measure on the others and register; within a run."""
    images, labels = digits(rows)
    hold_out = held_out(rows)
    learn = ~hold_out
    training.run(images[learn], labels[learn], epochs)
    network = training.network.eval()
    with torch.no_grad():
        probabilities = network(torch.from_numpy(images[hold_out])).numpy()
    mlflow.log_metric("accuracy", float((probabilities.argmax(axis=1) == labels[hold_out]).mean()))

    lifecycle.track(as_table(images[hold_out], labels[hold_out]), label=LABEL)

    logged = mlflow.pytorch.log_model(
        network,
        name="model",
        registered_model_name=model,
        signature=infer_signature(images[hold_out], probabilities),
        input_example=images[hold_out][:5],  # of one row the export would take their number for fixed
        pip_requirements=[f"{name}=={version(name)}" for name in ("torch", "numpy")],
    )
    print(f"registered models:/{model}/{logged.registered_model_version}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="0-1200", help="images to learn from")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--resume", default="", metavar="RUN_ID", help="run whose last checkpoint to go on from")
    parser.add_argument("--model", default="digits", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
