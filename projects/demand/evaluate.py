"""Measure a version on other months, and write them as Parquet, to be given to gates as current data."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported

import mlflow
from demand import as_table, windows


def main() -> None:
    """Log the error of each month, and write its hours."""
    arguments = _arguments()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    version = mlflow.pyfunc.load_model(arguments.version)
    with mlflow.start_run(run_name=f"evaluate {arguments.version}"):
        for month in arguments.months.split(","):
            given, wanted, _ = windows(month)
            error = float(abs(version.predict(given)[:, 0] - wanted).mean())
            mlflow.log_metric(f"mean_absolute_error_{month}", error, model_id=version.model_id)
            file = output / f"month-{month}.parquet"
            as_table(given, wanted).to_parquet(file, index=False)
            print(f"{error:.2f} departures off the mark in {len(given)} hours: {file}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/demand/latest", help="URI of the version to measure")
    parser.add_argument("--months", default="7,10", help="months of 2013 to measure on")
    parser.add_argument("--output", default="current", help="folder for the Parquet files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
