"""Registers a model whose columns and categories are named to do harm, and judges it.

A program: the tests run it in a process of its own, with the registry in its environment.
"""

from __future__ import annotations

import json
import sys

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import lifecycle

NAME, LABEL, ROWS = "hostile", "late", 1500


def rows(words: list[str], shift: float) -> pd.DataFrame:
    """Half of the columns are numbers, half are categories, all of them called and filled with the words."""
    rng = np.random.default_rng(int(shift))
    numbers = {f"{word} number": rng.normal(shift, 1, ROWS) for word in words[::2]}
    shares = np.linspace(1, 1 + shift, len(words))
    texts = {f"{word} text": rng.choice(words, ROWS, p=shares / shares.sum()) for word in words[1::2]}
    frame = pd.DataFrame(numbers | texts)
    return frame.assign(**{LABEL: (frame.iloc[:, 0] + rng.normal(0, 1, ROWS) > shift).astype(int)})


def main() -> None:
    words = json.loads(sys.argv[1])
    before, now = rows(words, 0.0), rows(words, 3.0)
    inputs = before.drop(columns=LABEL)
    texts = [column for column in inputs if column.endswith(" text")]
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), texts), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression()).fit(inputs, before[LABEL])
    with mlflow.start_run():
        lifecycle.track(before, label=LABEL)
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=NAME,
            signature=infer_signature(inputs, model.predict_proba(inputs)),
            input_example=inputs.head(3),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=["scikit-learn"],
            skops_trusted_types=["numpy.dtype"],
        )
    report = lifecycle.check(f"models:/{NAME}/1", stage="production", current=now)
    outcomes = {verdict.gate: verdict.outcome for verdict in report.verdicts}
    sys.stdout.write(json.dumps({"run_id": report.evidence.run_id, "outcomes": outcomes}) + "\n")


if __name__ == "__main__":
    main()
