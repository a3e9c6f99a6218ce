"""Followers agree on which of them works, in every registry of ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.domain.policy import ModelPolicy, PolicyBook
from lifecycle.registry.contract import FollowerLeases
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.testing.registry_contract import FollowerLeaseContract

POLICIES = PolicyBook(ModelPolicy(()))


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def later(clock: Clock) -> Callable[[float], None]:
    return clock.forward


class TestMemoryRegistry(FollowerLeaseContract):
    @pytest.fixture
    def leases(self, clock: Clock, tmp_path: Path) -> FollowerLeases:
        registry = MemoryRegistry(SnapshotStore(tmp_path / "snapshots"), POLICIES, clock)
        for model in ("wine", "flights"):
            registry.add(model, tmp_path)
        return registry


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to lay one out."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    SqlAlchemyStore(f"sqlite:///{path}").engine.dispose()
    return path


def in_a_database(database: Path, scheme: str, home: Path, clock: Clock) -> FollowerLeases:
    from mlflow import MlflowClient

    from lifecycle.registry.location import Location
    from lifecycle.registry.mlflow_registry import MlflowRegistry
    from lifecycle.registry.signer import EvidenceSigner
    from lifecycle.signing.local_key import own_key, trust_store

    own = shutil.copy(database, home / "mlflow.db")
    tracking, registry = f"sqlite:///{own}", f"{scheme}sqlite:///{own}"
    for model in ("wine", "flights"):
        MlflowClient(tracking, registry).create_registered_model(model)
    trust = trust_store(home, {})
    signer = EvidenceSigner(lambda: own_key(home, {}, trust, clock()), trust)
    return MlflowRegistry(Location(tracking, registry), SnapshotStore(home / "snapshots"), POLICIES, clock, signer)


class TestGuardedRegistry(FollowerLeaseContract):
    @pytest.fixture
    def leases(
        self, database: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> FollowerLeases:
        monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path))
        monkeypatch.setattr("lifecycle.assembly._now", clock)
        return in_a_database(database, "lifecycle+", tmp_path, clock)

    def test_no_client_writes_the_lease_itself(self, leases):
        leases.hold_lease("wine", "shop", "ada:1")
        client = leases._client
        for value in ("grace:2 until 2099-01-01T00:00:00+00:00", "grace:2"):
            with pytest.raises(Exception, match=r"letters, digits|ada:1 has the lease"):
                client.set_registered_model_tag("wine", "lifecycle.follower.shop", value)
        with pytest.raises(Exception, match="guard"):
            client.delete_registered_model_tag("wine", "lifecycle.follower.shop")
        assert client.get_registered_model("wine").tags["lifecycle.follower.shop"].startswith("ada:1 until 20")


class TestPlainRegistry(FollowerLeaseContract):
    @pytest.fixture
    def leases(self, database: Path, tmp_path: Path, clock: Clock) -> FollowerLeases:
        return in_a_database(database, "", tmp_path, clock)
