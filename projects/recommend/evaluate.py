"""Measure a version on users whom it knows and on those who came later, and write how both rate as Parquet."""

from __future__ import annotations

import argparse
from pathlib import Path

import mlflow
from ratings import behaviour, hit_rate, ratings


def main() -> None:
    """Log the hit rate of both, to be given to gates as current data."""
    arguments = _arguments()
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    version = mlflow.pyfunc.load_model(arguments.version)
    with mlflow.start_run(run_name=f"evaluate {arguments.version}"):
        for name, years, half in (("known", arguments.years, (0,)), ("later", arguments.later, (0, 1))):
            rows = ratings(years)
            users = behaviour(rows[(rows["userId"] % 2).isin(half)])
            given = users["user_id"].to_numpy()
            rate = hit_rate(version.predict({"user_id": given})["item_id"], given, rows)
            mlflow.log_metric(f"hit_rate_{name}", rate, model_id=version.model_id)
            users.to_parquet(output / f"{name}.parquet", index=False)
            print(f"hit rate {rate:.4f} of {len(users)} users: {output / name}.parquet")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", default="models:/recommend/latest", help="URI of the version to measure")
    parser.add_argument("--years", default="1995-2009", help="years that the version knows")
    parser.add_argument("--later", default="2010-2016", help="years after them")
    parser.add_argument("--output", default="current", help="folder for the Parquet files")
    return parser.parse_args()


if __name__ == "__main__":
    main()
