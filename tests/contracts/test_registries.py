"""Every registry of ours passes the one contract."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from lifecycle.assembly import load_settings
from lifecycle.domain.model_ref import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.errors import IntegrityError, NotFound
from lifecycle.registry.contract import ModelRegistry
from lifecycle.registry.location import Location
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.seal import Seal
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.signing.own import own_key, trust_store
from lifecycle.stack.server import start_server, stop_server
from lifecycle.testing.registry_contract import MODEL, RegistryContract

POLICY = """
models:
  wine:
    stages:
      staging: {stage: Staging, gates: [signature, drift]}
      production: {stage: Production, alias: champion, after: staging, gates: [signature]}
defaults:
  stages:
    staging: {stage: Staging, gates: [signature]}
"""


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PolicyBook:
    """The same file for the client and for the guard, wherever it runs."""
    file = tmp_path / "lifecycle.yaml"
    file.write_text(POLICY)
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(file))
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path))
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return load_settings().policies


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to lay out a database, so it does so once."""
    path = tmp_path_factory.mktemp("database") / "empty.db"
    SqlAlchemyStore(f"sqlite:///{path}").engine.dispose()
    return path


@dataclass(frozen=True)
class Served:
    uri: str
    root: Path
    database: Path
    fresh: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("server")
    config = root / "lifecycle.yaml"
    config.write_text(POLICY)
    database = Path(shutil.copy(empty_database, root / "mlflow.db"))
    try:
        uri = start_server(root, config).url
        register(uri, uri, root)
        yield Served(uri, root, database, Path(shutil.copy(database, root / "fresh.db")))
    finally:
        stop_server(root)


def version_folder(root: Path, number: int) -> Path:
    folder = root / f"version-{number}"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text(f"flavors: {{}}\nmodel_uuid: {number}\n")
    (folder / "data" / "weights.bin").write_bytes(bytes([number]) * 100)
    return folder


def register(tracking_uri: str, registry_uri: str, root: Path) -> None:
    client = MlflowClient(tracking_uri, registry_uri)
    client.create_registered_model(MODEL)
    experiment = client.create_experiment("training", artifact_location=(root / "artifacts").as_uri())
    for number in (1, 2):
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(version_folder(root, number)), "model")
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(MODEL, source, run.info.run_id, await_creation_for=None)


def mlflow_registry(tracking_uri: str, registry_uri: str, root: Path, policies: PolicyBook) -> MlflowRegistry:
    """With the key that the folder's own keys/trusted.json trusts, which is that of the guard as well."""
    trust = trust_store(root, {})
    return MlflowRegistry(
        Location(tracking_uri, registry_uri),
        SnapshotStore(root / "snapshots"),
        policies,
        now,
        Seal(lambda: own_key(root, {}, trust, now()), trust),
    )


def now() -> datetime:
    return datetime.now(UTC)


def uris(folder: Path) -> tuple[str, str]:
    """Of tracking and of the guarded registry in the same file."""
    return f"sqlite:///{folder / 'mlflow.db'}", f"lifecycle+sqlite:///{folder / 'mlflow.db'}"


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook) -> ModelRegistry:
        registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), policies, now)
        for number in (1, 2):
            registry.add(MODEL, version_folder(tmp_path, number))
        return registry


class TestGuardedInProcess(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook, empty_database: Path) -> ModelRegistry:
        shutil.copy(empty_database, tmp_path / "mlflow.db")
        register(*uris(tmp_path), tmp_path)
        return mlflow_registry(*uris(tmp_path), tmp_path, policies)

    @pytest.fixture
    def client(self, registry: ModelRegistry, tmp_path: Path) -> MlflowClient:
        return MlflowClient(*uris(tmp_path))

    def test_published_evidence_is_shown_where_people_look(self, registry, policies, client):
        client.update_model_version(MODEL, "1", "My words.")
        evidence = self.evidence(registry, policies, 1, "staging")
        recorded = registry.publish(evidence, {"report.md": "# fine", "junit/gates.xml": "<testsuite/>"})
        run = client.get_run(recorded.run_id)
        assert client.get_experiment(run.info.experiment_id).name == f"lifecycle/{MODEL}"
        assert run.info.status == "FINISHED"
        assert run.data.metrics["drift.rows"] == 7
        assert run.data.params["snapshot"] == evidence.digest
        assert run.data.tags["lifecycle.gate.signature"] == "PASSED"
        assert [file.path for file in client.list_artifacts(recorded.run_id)] == ["junit", "report.md"]
        version = client.get_model_version(MODEL, "1")
        assert version.description.startswith("My words.")
        assert re.search(r"\| drift\S* \| PASSED\S* \| as the contract says \|", version.description)
        assert version.tags["lifecycle.staging"].startswith("PASSED ")

    def test_evidence_for_a_version_that_is_not_there_leaves_no_run(self, registry, policies, client):
        evidence = replace(self.evidence(registry, policies, 1, "staging"), version=9)
        with pytest.raises(NotFound):
            registry.publish(evidence, {})
        assert client.get_experiment_by_name(f"lifecycle/{MODEL}") is None

    def test_tracked_data_comes_from_the_training_run_and_stays_here(self, registry, client, tmp_path):
        version = registry.get(ModelRef(MODEL, version=1))
        for name, text in (
            ("reference.parquet", "rows"),
            ("expectations.json", "{}"),
            ("track.json", '{"label": "y"}'),
        ):
            assert registry.tracked(version) is None
            client.log_text(version.run_id, text, f"lifecycle/{name}")
        tracked = registry.tracked(version)
        assert (tracked.reference.read_text(), tracked.suite.read_text(), tracked.label) == ("rows", "{}", "y")
        (tmp_path / "mlflow.db").unlink()
        assert registry.tracked(version) == tracked

    def test_files_that_changed_in_the_store_are_found_unless_the_judged_ones_are_here(
        self, registry, client, tmp_path, policies
    ):
        version = registry.get(ModelRef(MODEL, version=1))
        judged = registry.snapshot(version)
        client.log_text(version.run_id, "changed", "model/MLmodel")
        assert registry.snapshot(version, judged.digest) == judged
        elsewhere = mlflow_registry(*uris(tmp_path), tmp_path / "other", policies)
        with pytest.raises(IntegrityError, match="models:/wine/1"):
            elsewhere.snapshot(version, judged.digest)


class TestPlain(RegistryContract):
    guarded = False

    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook, empty_database: Path) -> ModelRegistry:
        uri = f"sqlite:///{shutil.copy(empty_database, tmp_path / 'mlflow.db')}"
        register(uri, uri, tmp_path)
        return mlflow_registry(uri, uri, tmp_path, policies)


@pytest.mark.slow
class TestGuardedServer(RegistryContract):
    """One real server; before each test its database goes back to the two fresh versions."""

    @pytest.fixture
    def registry(self, served: Served, policies: PolicyBook) -> ModelRegistry:
        with closing(sqlite3.connect(served.fresh)) as fresh, closing(sqlite3.connect(served.database)) as live:
            fresh.backup(live)
        return mlflow_registry(served.uri, served.uri, served.root, policies)
