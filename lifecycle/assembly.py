"""The only place where configuration becomes live objects."""

from __future__ import annotations

import getpass
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.config.load import Config, load_config
from lifecycle.domain.deployment import Deployment, DeploymentSpec
from lifecycle.domain.model import ModelRef, ModelVersion, Snapshot
from lifecycle.errors import ConfigError, LifecycleError, NotFound

if TYPE_CHECKING:
    import pandas as pd

    from lifecycle.controller.deployer import Deployer
    from lifecycle.controller.gate_worker import Done, GateWorker
    from lifecycle.controller.reconciler import Reconciler
    from lifecycle.controller.status_check import StatusCheck
    from lifecycle.gates.run import Progress
    from lifecycle.promotion.gate_runner import GateRunner
    from lifecycle.promotion.guard import Guard
    from lifecycle.promotion.promoter import Promoter
    from lifecycle.registry.contract import ModelRegistry
    from lifecycle.registry.location import Location
    from lifecycle.scoring.contract import Batch, Predictions
    from lifecycle.targets.contract import Target, TargetContext

_LOG = logging.getLogger(__name__)


def load_settings(explicit: Path | None = None) -> Config:
    """Read the configuration of this process and check every gate and option of the policy.

    Raises:
        ConfigError: the file, a key, a gate or a gate's option is wrong.
    """
    from lifecycle.gates.contract import load_gate

    config = load_config(os.environ, Path.cwd(), explicit)
    for model in (config.policies.default, *config.policies.models.values()):
        for spec in (spec for stage in model.stages for spec in stage.gates):
            try:
                load_gate(spec)
            except LifecycleError as exc:
                raise ConfigError(f"{config.file or 'built-in policy'}: {exc}") from exc
    return config


def make_guard() -> Guard:
    """Make the guard of a registry from the configuration of this process.

    Raises:
        ConfigError: the configuration or the file of trusted keys is wrong; a guard needs a policy.
    """
    from lifecycle.promotion.guard import Guard
    from lifecycle.signing.local_key import trust_store

    settings = load_settings()
    trust = trust_store(settings.home, os.environ)
    trust.keys()
    return Guard(settings.policies, trust, _now)


@dataclass(frozen=True)
class Lifecycle:
    """The assembled product. Each part is made when it is first used."""

    config: Config

    @cached_property
    def location(self) -> Location:
        """Address of the registry."""
        from lifecycle.registry.location import mlflow_location

        _settle_libraries()
        return mlflow_location()

    @cached_property
    def registry(self) -> ModelRegistry:
        """The model registry."""
        from lifecycle.registry.mlflow_registry import MlflowRegistry
        from lifecycle.registry.signer import EvidenceSigner
        from lifecycle.registry.snapshot import SnapshotStore
        from lifecycle.signing.local_key import own_key, trust_store

        home = self.config.home
        trust = trust_store(home, os.environ)
        signer = EvidenceSigner(lambda: own_key(home, os.environ, trust, _now()), trust)
        snapshots = SnapshotStore(home / "snapshots")
        return MlflowRegistry(self.location, snapshots, self.config.policies, _now, signer)

    def gate_runner(self, progress: Progress | None = None) -> GateRunner:
        """The runner of gates."""
        from lifecycle.gates.gate_process import start_early
        from lifecycle.gates.run import Progress
        from lifecycle.gates.subprocess_runner import run_isolated
        from lifecycle.promotion.gate_runner import GateRunner

        _settle_libraries()
        start_early()
        return GateRunner(
            self.registry, self.config.policies, run_isolated, _now, local_user(), progress or Progress()
        )

    @cached_property
    def promoter(self) -> Promoter:
        """The part that promotes and rolls back."""
        from lifecycle.promotion.promoter import Promoter

        return Promoter(self.registry, self.config.policies, _prove_loadable, local_user(), _now)

    @cached_property
    def deployer(self) -> Deployer:
        """The part that deploys promoted versions to targets."""
        from lifecycle.controller.deployer import Deployer

        return Deployer(
            self.registry, self.config.policies, self.promoter, self._release, self.target, self._compile
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """The part that updates deployments when their stage or alias moves."""
        from lifecycle.controller.follower import ScopeLeases, follower_name
        from lifecycle.controller.reconciler import Reconciler

        leases = ScopeLeases(self.registry, follower_name(), time.monotonic)
        return Reconciler(self.deployer, self.following_targets, leases, time.monotonic)

    def worker(self, name: str, report: Callable[[Done], None]) -> GateWorker:
        """The worker that runs queued gate runs."""
        from random import random

        from lifecycle.controller.gate_worker import GateWorker

        return GateWorker(self.registry, self.gate_runner(), name, report, jitter=random)

    def deploy(self, target: str, name: str, model_uri: str, options: Mapping[str, str]) -> Deployment:
        """Deploy under a new name, and start following if a stage or alias is given."""
        from lifecycle.controller.deployer import DeployRequest

        request = DeployRequest.parse(target, name, ModelRef.parse(model_uri), options)
        deployment = self.deployer.create(request)
        self.keep_following(self.location.as_environment())
        return deployment

    def redeploy(self, target: str, name: str, model_uri: str | None, options: Mapping[str, str]) -> Deployment:
        """Change version or options of a deployment, and start following if a stage or alias is given."""
        from lifecycle.controller.deployer import DeployRequest

        ref = ModelRef.parse(model_uri) if model_uri else self.target(target).describe(name).ref
        deployment = self.deployer.update(DeployRequest.parse(target, name, ref, options))
        self.keep_following(self.location.as_environment())
        return deployment

    def resolve(self, target: str, name: str, model_uri: str, options: Mapping[str, str]) -> DeploymentSpec:
        """Check, fetch and compile the version of a deployment without deploying it."""
        from lifecycle.controller.deployer import DeployRequest

        return self.deployer.resolve(DeployRequest.parse(target, name, ModelRef.parse(model_uri), options))

    def keep_following(self, registry: Mapping[str, str]) -> None:
        """Start the follower if there is a deployment to follow.

        Args:
            registry: Environment variables with the registry's address.
        """
        from lifecycle.controller.follower import ensure_follower

        if any(not d.ref.pinned for target in self.following_targets() for d in target.list()):
            ensure_follower(self.config.home, self.config.file, registry)

    def check_status(self, deployments: Iterable[Deployment]) -> StatusCheck:
        """Compare the registry with its ledger, for the models that are deployed here and some others."""
        from lifecycle.controller.status_check import check_status

        return check_status(self.promoter, deployments)

    def deployments(self, target: str | None = None) -> list[Deployment]:
        """All deployments of one target, or of all targets."""
        from lifecycle.targets.contract import TARGETS

        return [d for kind in ([target] if target else TARGETS.names()) for d in self.target(kind).list()]

    def predict(self, target: str, name: str, rows: pd.DataFrame) -> Predictions:
        """Score rows with a deployment."""
        from lifecycle.registry.snapshot import SnapshotStore
        from lifecycle.scoring.frames import batch_from_frame
        from lifecycle.scoring.signature import Signature

        place = self.target(target)
        snapshot = SnapshotStore(self.config.home / "snapshots").get(place.describe(name).digest)
        if snapshot is None:
            raise NotFound(f"the snapshot of deployment {name!r} is gone; update the deployment to fetch it again")
        return place.predict(name, batch_from_frame(rows, Signature.from_snapshot(snapshot.path)))

    def target(self, name: str) -> Target:
        """The target with this name."""
        from lifecycle.targets.contract import load_target

        return load_target(name, self.target_context())

    def target_context(self) -> TargetContext:
        """What targets are given."""
        from lifecycle.bundle.cache import LocalModels
        from lifecycle.registry.snapshot import SnapshotStore
        from lifecycle.targets.contract import TargetContext

        home = self.config.home
        models = LocalModels(SnapshotStore(home / "snapshots"), home / "compiled")
        return TargetContext(home, models, os.environ.get, self._registry_environment)

    def _registry_environment(self) -> Mapping[str, str]:
        return self.location.as_environment()

    def following_targets(self) -> Iterable[Target]:
        """Targets whose deployments follow stages."""
        from lifecycle.targets.contract import TARGETS, follows

        return [target for target in map(self.target, TARGETS.names()) if follows(target)]

    def _release(self, ref: ModelRef, stage: str, current: str | None) -> None:
        from lifecycle.promotion.promoter import release

        release(self.gate_runner(), self.promoter, ref, stage, current)

    def _compile(self, version: ModelVersion, snapshot: Snapshot) -> str:
        from lifecycle.bundle.compile_process import compile_apart
        from lifecycle.scoring.compilers.contract import NotCompilable

        try:
            compile_apart(snapshot, self.config.home / "compiled", self._reference_rows(version, snapshot))
        except NotCompilable as exc:
            _LOG.warning("%s is served by pyfunc, which is slower: %s", version.uri, exc)
            return str(exc)
        return ""

    def _reference_rows(self, version: ModelVersion, snapshot: Snapshot) -> Batch | None:
        """Rows for comparing the compiled scorer with pyfunc: the logged ones, else the input example."""
        tracked = self.registry.tracked(version)
        if tracked is None:
            return None
        from lifecycle.data.read import read_dataset
        from lifecycle.scoring.frames import batch_from_frame
        from lifecycle.scoring.signature import Signature

        rows = read_dataset(str(tracked.reference), tracked.label)
        return batch_from_frame(rows.whole()[list(rows.inputs)], Signature.from_snapshot(snapshot.path))


def assemble(explicit: Path | None = None) -> Lifecycle:
    """Assemble the product from the configuration of this process.

    Raises:
        ConfigError: the configuration is wrong.
    """
    return Lifecycle(load_settings(explicit))


def _prove_loadable(snapshot: Snapshot) -> None:
    from lifecycle.scoring.loader import load_scorer

    load_scorer(snapshot.path).close()


def _now() -> datetime:
    return datetime.now(UTC)


def local_user() -> str:
    """Name of the operating system's user."""
    try:
        return getpass.getuser()
    except OSError:  # a container may run under a user id without a name
        return f"uid {os.getuid()}"


def _settle_libraries() -> None:
    """Set defaults of the libraries' own settings. Variables that the user has set are kept.

    Telemetry and unasked output are off, and an unreachable registry is reported within seconds, where
    MLflow's client would retry for minutes.
    """
    from lifecycle.processes.process import QUIET

    for variable, value in (
        *QUIET.items(),
        ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "30"),
    ):
        os.environ.setdefault(variable, value)
