"""A registry and a target in memory, two real versions, and the parts that join them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.controller.deployer import Deployer, DeployRequest
from lifecycle.controller.follower import ScopeLeases
from lifecycle.controller.reconciler import Reconciler
from lifecycle.domain.deployment import Deployment, ModelSource
from lifecycle.domain.model import ModelRef, ModelVersion, Snapshot
from lifecycle.domain.policy import GateSpec, ModelPolicy, PolicyBook, StagePolicy
from lifecycle.domain.verdict import Evidence, Outcome, Verdict
from lifecycle.promotion.promoter import Promoter
from lifecycle.registry.memory_registry import MemoryRegistry
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.targets.batch.target import BatchTarget
from lifecycle.targets.contract import Target, TargetContext, follows
from lifecycle.targets.memory_target import MemoryTarget

MODEL = "flights-delay"
GATES = (GateSpec("signature"),)
STAGING = StagePolicy("staging", "Staging", GATES)
PRODUCTION = StagePolicy("production", "Production", GATES, alias="champion", after="staging")
CHALLENGER = StagePolicy("challenger", None, GATES, alias="challenger")
POLICIES = PolicyBook(ModelPolicy((STAGING, PRODUCTION, CHALLENGER)))


class World:
    """Everything between a registry and its deployments, in this process.

    ``disk_full_for`` holds the digests that cannot be compiled, because the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.snapshots = SnapshotStore(folder / "snapshots")
        self.registry = MemoryRegistry(self.snapshots, POLICIES, lambda: datetime.now(UTC))
        self.promoter = Promoter(self.registry, POLICIES, lambda _: None, "ada", lambda: datetime.now(UTC))
        self.context = TargetContext(folder, self)
        self.memory, self.batch = MemoryTarget(self.context), BatchTarget(self.context)
        self.targets: dict[str, Target] = {target.name: target for target in (self.memory, self.batch)}
        self.released: list[tuple[str, str, str | None]] = []
        self.compiled_forms: dict[str, Path] = {}
        self.disk_full_for: set[str] = set()
        self.now_s = 0.0
        self.deployer = Deployer(
            self.registry, POLICIES, self.promoter, self._release, self.targets.__getitem__, self._compile
        )

    def reconciler(self) -> Reconciler:
        following = [target for target in self.targets.values() if follows(target)]
        leases = ScopeLeases(self.registry, "here:1", lambda: self.now_s)
        return Reconciler(self.deployer, lambda: following, leases, lambda: self.now_s)

    def promote(self, version: int, *, model: str = MODEL, to: str = "production") -> None:
        """With passing evidence, through the stages on the way."""
        ref = ModelRef(model, version=version)
        for stage in POLICIES.of(model).path_to(to):
            self._judge(ref, stage)
            self.promoter.promote(ref, stage.name)

    def move_behind_the_ledgers_back(self, version: int, stage: str) -> None:
        """What an administrator's SQL, or a time before the guard, may leave in a registry."""
        versions = self.registry._versions[MODEL]
        self.registry._versions[MODEL] = [replace(v, stage=stage) if v.version == version else v for v in versions]

    def point_behind_the_ledgers_back(self, alias: str, version: int) -> None:
        """The same, of an alias alone."""
        versions = self.registry._versions[MODEL]
        self.registry._versions[MODEL] = [
            replace(v, aliases=(alias,) if v.version == version else ()) for v in versions
        ]

    def change_a_byte(self, digest: str) -> Callable[[], None]:
        """Of the snapshot's largest file; returns what repairs it."""
        files = (path for path in (self.snapshots.root / digest).rglob("*") if path.is_file())
        victim = max(files, key=lambda path: path.stat().st_size)
        victim.chmod(0o600)
        content = victim.read_bytes()
        victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        return lambda: victim.write_bytes(content) and None

    def create(self, uri: str, name: str = "flights", target: str = "memory", **options: str) -> Deployment:
        return self.deployer.create(DeployRequest.parse(target, name, ModelRef.parse(uri), options))

    def update(self, uri: str, name: str = "flights", target: str = "memory", **options: str) -> Deployment:
        return self.deployer.update(DeployRequest.parse(target, name, ModelRef.parse(uri), options))

    def serving(self, name: str = "flights") -> int:
        return self.memory.describe(name).version

    def _judge(self, ref: ModelRef, stage: StagePolicy) -> None:
        digest = self.registry.snapshot(self.registry.get(ref)).digest
        verdicts = tuple(Verdict(gate.name, Outcome.PASSED, f"{gate.name}.ok", "fine") for gate in stage.gates)
        now = datetime.now(UTC)
        times = now, now + timedelta(days=1)
        record = Evidence(ref.name, ref.version or 0, stage.name, digest, stage.digest, verdicts, *times)
        self.registry.publish(record, {})

    def _release(self, ref: ModelRef, stage: str, current: str | None) -> None:
        self.released.append((str(ref), stage, current))
        self.promote(ref.version or 0, to=stage)

    def _compile(self, version: ModelVersion, snapshot: Snapshot) -> str:
        del version
        if snapshot.digest in self.disk_full_for:
            raise OSError(28, "No space left on device")
        return "" if snapshot.digest in self.compiled_forms else "no compiler for it"

    def snapshot(self, source: ModelSource) -> Snapshot:
        return self.snapshots.get(source.digest) or pytest.fail("no such snapshot")

    def compiled(self, source: ModelSource) -> Path:
        return self.compiled_forms[source.digest]


@pytest.fixture
def world(lifecycle_models, tmp_path: Path) -> World:
    """Versions 1 and 2 of flights-delay, and the same two of its neighbour; nothing is promoted."""
    world = World(tmp_path)
    for model in lifecycle_models:
        world.registry.add(MODEL, model.snapshot.path)
        world.registry.add("neighbour", model.snapshot.path)
        world.compiled_forms[model.snapshot.digest] = model.compiled
    return world
