"""Registers two small versions of ``flights-delay``, and ``unsigned``, which lacks a signature.

A program: the tests run it in a process of its own, with the registry in its environment.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import lifecycle

sys.path.insert(0, str(Path(__file__).parents[2] / "projects" / "flights"))
from flights import FEATURES, LABEL, NUMBERS, TEXTS, flights

ROWS = 4000


def pipeline(strength: float):
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
    )
    return make_pipeline(columns, LogisticRegression(C=strength, max_iter=500))


def log(rows, name: str, strength: float, **described) -> None:
    with mlflow.start_run():
        model = pipeline(strength).fit(rows[FEATURES], rows[LABEL])
        lifecycle.track(rows, label=LABEL)
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=name,
            pyfunc_predict_fn="predict_proba",
            pip_requirements=[f"{name}=={version(name)}" for name in ("scikit-learn", "pandas")],
            skops_trusted_types=["numpy.dtype"],
            **described,
        )


def main() -> None:
    rows = flights(range(1, 2)).head(ROWS)
    inputs = rows[FEATURES]
    described = {
        "signature": infer_signature(inputs, pipeline(1.0).fit(inputs, rows[LABEL]).predict_proba(inputs)),
        "input_example": inputs.head(5),
    }
    log(rows, "flights-delay", 1.0, **described)
    log(rows, "flights-delay", 0.001, **described)
    log(rows, "unsigned", 1.0)
    inputs.head(20).to_parquet("rows.parquet")
    inputs.drop(columns="distance").head(20).to_parquet("no-distance.parquet")


if __name__ == "__main__":
    main()
