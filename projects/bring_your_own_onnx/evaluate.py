"""Measure a version on newer tumours, as they are and in another laboratory's units, and write both as Parquet."""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
from sklearn.metrics import accuracy_score
from tumours import LABEL, tumours

COLUMN = "worst_area"
"""Which another laboratory measures in another unit."""


def main() -> None:
    """Log the accuracy on both, to be given to gates as current data."""
    arguments = _arguments()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    version = mlflow.pyfunc.load_model(arguments.version)
    newer = tumours(arguments.rows)
    with mlflow.start_run(run_name=f"evaluate {arguments.version}"):
        for name, seen in (("clean", newer), ("other-units", newer.assign(**{COLUMN: newer[COLUMN] / 100}))):
            given = seen.drop(columns=LABEL).to_numpy()
            (probabilities,) = version.predict(given).values()
            accuracy = accuracy_score(seen[LABEL], probabilities.argmax(axis=1))
            mlflow.log_metric(f"accuracy_{name}", accuracy, model_id=version.model_id)
            seen.to_parquet(output / f"{name}.parquet", index=False)
            print(f"accuracy {accuracy:.4f} on {len(seen)} tumours: {output / name}.parquet")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/tumours/latest", help="URI of the version to measure")
    parser.add_argument("--rows", default="410-569", help="tumours to measure on")
    parser.add_argument("--output", default="current", help="folder for the Parquet files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
