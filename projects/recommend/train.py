"""Factorise the ratings of some years and register the recommender; two lines of this are mlflow-lifecycle."""

from __future__ import annotations

import argparse
from importlib.metadata import version

import mlflow
import onnxruntime
from factors import as_onnx, factorise
from mlflow.models import infer_signature
from ratings import behaviour, hit_rate, ratings

import lifecycle


def main() -> None:
    """Train, measure on held-out ratings, track users, log and register the model."""
    arguments = _arguments()
    rows = ratings(arguments.years)
    with mlflow.start_run(run_name=f"{arguments.model} years {arguments.years}"):
        mlflow.log_params({"years": arguments.years, "factors": arguments.factors, "k": arguments.k})
        model = as_onnx(factorise(rows[~rows["held_out"]], arguments.factors), arguments.k)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        users = behaviour(rows)
        given = {"user_id": users["user_id"].to_numpy()}
        items, scores = session.run(["item_id", "score"], given)
        mlflow.log_metric("hit_rate", hit_rate(items, given["user_id"], rows))

        lifecycle.track(users[users["user_id"] % 2 == 1])

        logged = mlflow.onnx.log_model(
            model,
            name="model",
            registered_model_name=arguments.model,
            signature=infer_signature(given, {"item_id": items, "score": scores}),
            input_example={"user_id": given["user_id"][:5]},
            pip_requirements=[f"{name}=={version(name)}" for name in ("onnx", "onnxruntime", "numpy")],
            onnx_execution_providers=["CPUExecutionProvider"],
            save_as_external_data=False,
        )
    print(f"registered models:/{arguments.model}/{logged.registered_model_version}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", default="1995-2009", help="years to learn from")
    parser.add_argument("--factors", type=int, default=16)
    parser.add_argument("--k", type=int, default=10, help="items to recommend")
    parser.add_argument("--model", default="recommend", help="registered model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
