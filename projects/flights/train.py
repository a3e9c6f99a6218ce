"""Train the flights model and register it; two lines of this are mlflow-lifecycle."""

from __future__ import annotations

import argparse
from importlib.metadata import version

import mlflow
from flights import FEATURES, LABEL, NUMBERS, TEXTS, flights
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import lifecycle


def pipeline(trees: int, depth: int) -> Pipeline:
    """Numbers with gaps and texts with gaps, into a forest."""
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
        ]
    )
    forest = RandomForestClassifier(trees, max_depth=depth, min_samples_leaf=5, n_jobs=-1, random_state=0)
    return make_pipeline(columns, forest)


def main() -> None:
    """Train, evaluate on held-out rows, track them, log and register the model."""
    arguments = _arguments()
    first, last = (int(month) for month in arguments.months.split("-"))
    learn, hold_out = train_test_split(flights(range(first, last + 1)), test_size=0.25, random_state=0)
    with mlflow.start_run(run_name=f"{arguments.model} months {arguments.months}"):
        mlflow.log_params({"trees": arguments.trees, "depth": arguments.depth})
        model = pipeline(arguments.trees, arguments.depth).fit(learn[FEATURES], learn[LABEL])
        scores = model.predict_proba(hold_out[FEATURES])
        mlflow.log_metric("roc_auc", roc_auc_score(hold_out[LABEL], scores[:, 1]))

        lifecycle.track(hold_out, label=LABEL)

        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=arguments.model,
            signature=infer_signature(hold_out[FEATURES], scores),
            input_example=hold_out[FEATURES].head(5),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=[f"{name}=={version(name)}" for name in ("scikit-learn", "pandas")],
            skops_trusted_types=["numpy.dtype", "sklearn.tree._tree.Tree"],
        )
    print(f"registered models:/{arguments.model}/{logged.registered_model_version}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--months", default="1-6", help="months of 2013 to learn from, such as 1-6")
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--model", default="flights-delay", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
