"""Measure a version on other months, and write them as Parquet, to be given to gates as current data."""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
from flights import FEATURES, LABEL, flights
from sklearn.metrics import roc_auc_score


def main() -> None:
    """Log ROC AUC of each month, and write its flights."""
    arguments = _arguments()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    version = mlflow.pyfunc.load_model(arguments.version)
    with mlflow.start_run(run_name=f"evaluate {arguments.version}"):
        for month in map(int, arguments.months.split(",")):
            rows = flights(range(month, month + 1))
            score = roc_auc_score(rows[LABEL], version.predict(rows[FEATURES])[:, 1])
            mlflow.log_metric(f"roc_auc_{month}", score, model_id=version.model_id)
            file = output / f"month-{month}.parquet"
            rows.to_parquet(file, index=False)
            print(f"ROC AUC {score:.4f} of {len(rows)} flights: {file}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/flights-delay/latest", help="URI of the version to measure")
    parser.add_argument("--months", default="7,10", help="months of 2013 to measure on")
    parser.add_argument("--output", default="current", help="folder for the Parquet files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
