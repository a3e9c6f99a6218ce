"""Measure a version on digits of people whom it does not know, as they are and as another scanner gives them.

Both are written as Parquet, to be given to gates as current data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
from digits import as_table, digits, shifted


def main() -> None:
    """Log the accuracy on both kinds of images, and write them."""
    arguments = _arguments()
    images, labels = digits(arguments.rows)
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    version = mlflow.pyfunc.load_model(arguments.version)
    with mlflow.start_run(run_name=f"evaluate {arguments.version}"):
        for name, seen in (("clean", images), ("shifted", shifted(images))):
            accuracy = float((version.predict(seen).argmax(axis=1) == labels).mean())
            mlflow.log_metric(f"accuracy_{name}", accuracy, model_id=version.model_id)
            as_table(seen, labels).to_parquet(output / f"{name}.parquet", index=False)
            print(f"accuracy {accuracy:.4f} on {len(seen)} images: {output / name}.parquet")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/digits/latest", help="URI of the version to measure")
    parser.add_argument("--rows", default="1500-1797", help="images to measure on")
    parser.add_argument("--output", default="current", help="folder for the Parquet files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
