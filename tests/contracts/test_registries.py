"""Every registry of ours passes the one contract."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import flask
import pytest
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path

from lifecycle.assembly import load_settings
from lifecycle.domain.ledger import UNAUTHENTICATED
from lifecycle.domain.model import ModelRef
from lifecycle.domain.policy import PolicyBook
from lifecycle.errors import IntegrityError, NotFound
from lifecycle.registry.contract import ModelRegistry
from lifecycle.registry.location import Location
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.mlflow_registry import MlflowRegistry
from lifecycle.registry.signer import EvidenceSigner
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.signing.local_key import own_key, trust_store
from lifecycle.signing.trust import Permission
from lifecycle.stack import start_server, stop_server
from lifecycle.testing.registry_contract import AUTHOR, MODEL, RegistryContract, SignIn

POLICY = """
models:
  wine:
    stages:
      staging: {stage: Staging, gates: [signature, drift]}
      production: {stage: Production, alias: champion, after: staging, gates: [signature]}
      challenger: {alias: challenger, gates: [signature]}
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


@contextmanager
def signed_in(user: str) -> Iterator[None]:
    """A request of somebody whom MLflow's auth app has let in."""
    app = flask.Flask("stands in for MLflow's auth app, which leaves the name of whom it let in here")

    def authenticate() -> None:
        raise AssertionError("never called; it is there to be seen")

    authenticate.__module__ = "mlflow.server.auth"
    app.before_request(authenticate)
    with app.test_request_context():
        flask.g.mlflow_authenticated_user = user
        yield


def trust_to_override(home: Path) -> None:
    """Let the home's own key override, which it may not by itself."""
    trust = trust_store(home, {})
    trust.trust(own_key(home, {}, trust, now()), "own", Permission, now())


def change(files: Path) -> None:
    (files / "MLmodel").write_text("flavors: {changed: yes}")


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
        EvidenceSigner(lambda: own_key(root, {}, trust, now()), trust),
    )


def now() -> datetime:
    return datetime.now(UTC)


def files_of(client: MlflowClient, number: int) -> Path:
    """Where the artifact store keeps a version's files."""
    return Path(local_file_uri_to_path(client.get_model_version_download_uri(MODEL, str(number))))


def uris(folder: Path) -> tuple[str, str]:
    """Of tracking and of the guarded registry in the same file."""
    return f"sqlite:///{folder / 'mlflow.db'}", f"lifecycle+sqlite:///{folder / 'mlflow.db'}"


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook) -> MemoryRegistry:
        registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), policies, now)
        registry.actor = AUTHOR
        for number in (1, 2):
            registry.add(MODEL, version_folder(tmp_path, number))
        registry.actor = UNAUTHENTICATED
        return registry

    @pytest.fixture
    def overriding(self, registry: MemoryRegistry) -> ModelRegistry:
        registry.may_override = True
        return registry

    @pytest.fixture
    def signed_in(self, registry: MemoryRegistry) -> SignIn:
        @contextmanager
        def as_user(user: str) -> Iterator[None]:
            registry.actor = user
            yield
            registry.actor = UNAUTHENTICATED

        return as_user

    @pytest.fixture
    def tamper(self, tmp_path: Path) -> Callable[[int], None]:
        return lambda number: change(tmp_path / f"version-{number}")


class TestGuardedInProcess(RegistryContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook, empty_database: Path) -> ModelRegistry:
        shutil.copy(empty_database, tmp_path / "mlflow.db")
        with signed_in(AUTHOR):
            register(*uris(tmp_path), tmp_path)
        return mlflow_registry(*uris(tmp_path), tmp_path, policies)

    @pytest.fixture
    def overriding(self, registry: ModelRegistry, tmp_path: Path) -> ModelRegistry:
        trust_to_override(tmp_path)
        return registry

    @pytest.fixture
    def stranger(self, tmp_path: Path, policies: PolicyBook) -> ModelRegistry:
        return mlflow_registry(*uris(tmp_path), tmp_path / "stranger", policies)

    @pytest.fixture
    def signed_in(self) -> SignIn:
        return signed_in

    @pytest.fixture
    def tamper(self, client: MlflowClient) -> Callable[[int], None]:
        return lambda number: change(files_of(client, number))

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
        experiment = client.get_experiment_by_name(f"lifecycle/{MODEL}")
        assert client.search_runs([experiment.experiment_id]) == []

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

    @pytest.fixture
    def stranger(self, tmp_path: Path, policies: PolicyBook) -> ModelRegistry:
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        return mlflow_registry(uri, uri, tmp_path / "stranger", policies)

    @pytest.fixture
    def tamper(self, tmp_path: Path) -> Callable[[int], None]:
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        return lambda number: change(files_of(MlflowClient(uri, uri), number))


@pytest.mark.slow
class TestGuardedServer(RegistryContract):
    """One real server; before each test its database goes back to the two fresh versions, and its keys to none."""

    @pytest.fixture
    def registry(self, served: Served, policies: PolicyBook) -> ModelRegistry:
        shutil.rmtree(served.root / "keys", ignore_errors=True)
        with closing(sqlite3.connect(served.fresh)) as fresh, closing(sqlite3.connect(served.database)) as live:
            fresh.backup(live)
        return mlflow_registry(served.uri, served.uri, served.root, policies)

    @pytest.fixture
    def overriding(self, registry: ModelRegistry, served: Served) -> ModelRegistry:
        trust_to_override(served.root)
        return registry

    @pytest.fixture
    def stranger(self, served: Served, policies: PolicyBook, tmp_path: Path) -> ModelRegistry:
        return mlflow_registry(served.uri, served.uri, tmp_path, policies)

    @pytest.fixture
    def tamper(self, registry: ModelRegistry, served: Served) -> Iterator[Callable[[int], None]]:
        """The files are those of all tests, so they are put back."""
        folders = [files_of(MlflowClient(served.uri, served.uri), number) for number in (1, 2)]
        before = [(folder / "MLmodel").read_text() for folder in folders]
        yield lambda number: change(folders[number - 1])
        for folder, text in zip(folders, before, strict=True):
            (folder / "MLmodel").write_text(text)
