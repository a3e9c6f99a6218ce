"""Every guarded registry of ours queues gate runs as the one contract says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lifecycle.assembly import assemble, load_settings
from lifecycle.domain.policy import PolicyBook
from lifecycle.registry.contract import ModelRegistry
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.testing.gate_queue_contract import MODEL, GateQueueContract, ask

POLICY = """
models:
  wine:
    stages:
      staging: {stage: Staging, gates: [signature], on_missing: enqueue}
      production: {stage: Production, gates: [signature], on_missing: enqueue, auto_promote: true}
"""


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PolicyBook:
    """The same file for the client and for the guard."""
    (tmp_path / "lifecycle.yaml").write_text(POLICY)
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for variable, value in (
        ("LIFECYCLE_CONFIG", str(tmp_path / "lifecycle.yaml")),
        ("LIFECYCLE_HOME", str(tmp_path / "home")),
        ("MLFLOW_TRACKING_URI", database),
        ("MLFLOW_REGISTRY_URI", database),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ):
        monkeypatch.setenv(variable, value)
    # What some other test has told MLflow in this process would count for more than the environment.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.setattr("mlflow.tracking._model_registry.utils._registry_uri", None)
    return load_settings().policies


def version_folder(root: Path, number: int) -> Path:
    folder = root / f"version-{number}"
    folder.mkdir()
    (folder / "MLmodel").write_text(f"model_uuid: {number}\n")
    return folder


class TestMemoryQueue(GateQueueContract):
    @pytest.fixture
    def registry(self, tmp_path: Path, policies: PolicyBook) -> ModelRegistry:
        registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), policies, lambda: datetime.now(UTC))
        for number in (1, 2):
            registry.add(MODEL, version_folder(tmp_path, number))
        return registry


class TestGuardsQueue(GateQueueContract):
    @pytest.fixture
    def client(self, tmp_path: Path, policies: PolicyBook, empty_database: Path) -> MlflowClient:
        shutil.copy(empty_database, tmp_path / "mlflow.db")
        location = assemble().location
        return MlflowClient(location.tracking_uri, location.registry_uri)

    @pytest.fixture
    def registry(self, tmp_path: Path, client: MlflowClient) -> Iterator[ModelRegistry]:
        client.create_registered_model(MODEL)
        for number in (1, 2):
            source = version_folder(tmp_path, number).as_uri()
            client.create_model_version(MODEL, source, await_creation_for=None)
        return assemble().registry

    def test_what_is_given_up_is_shown_and_no_longer_found(self, registry, client):
        ask(registry, 1, "production")
        for number in (1, 2, 3):
            client.set_model_version_tag(MODEL, "1", "lifecycle.claim.production", f"w:{number}")
            client.set_model_version_tag(MODEL, "1", "lifecycle.claim.production", f"w:{number} failed: no data")
            _end_leases(client)
        assert list(registry.queued()) == []
        shown = client.get_model_version(MODEL, "1").tags["lifecycle.queue.production"]
        assert shown == "GIVEN UP after 3 tries: no data"
        assert ask(registry, 1, "production").shown == "QUEUED"

    @pytest.mark.parametrize("text", ["", "x" * 5000, "w\nw", "w stolen: by me"])
    def test_what_no_worker_says_is_refused_as_wrong_usage(self, registry, client, text):
        from mlflow.exceptions import MlflowException

        ask(registry, 1, "production")
        with pytest.raises(MlflowException) as caught:
            client.set_model_version_tag(MODEL, "1", "lifecycle.claim.production", text)
        assert caught.value.get_http_status_code() == 400


def _end_leases(client: MlflowClient) -> None:
    """As if two minutes had gone by at the registry."""
    from sqlalchemy import update

    from lifecycle.promotion.database import QUEUE

    store = client._get_registry_client().store
    with store.engine.begin() as connection:
        connection.execute(update(QUEUE).values(leased_until=datetime(2026, 1, 1)))
