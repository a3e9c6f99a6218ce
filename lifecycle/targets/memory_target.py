"""Deployments inside this process: what notebooks and tests use where nothing must outlive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status, check_deployment_name
from lifecycle.domain.model import Snapshot
from lifecycle.errors import NotFound, unknown
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.loader import load_verified
from lifecycle.targets.contract import TargetOptions


@dataclass(frozen=True, slots=True)
class _Loaded:
    spec: DeploymentSpec
    scorer: Scorer


class MemoryTarget:
    """Scores in the caller's own process. Takes no options."""

    name = "memory"
    follows = True
    Options = TargetOptions
    help = "memory: answers inside the calling process and ends with it. Takes no -C options."

    def __init__(self, home: Path | None = None) -> None:
        del home  # keeps nothing on disk
        self._loaded: dict[str, _Loaded] = {}

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Load the version, then switch to it."""
        check_deployment_name(spec.name)
        TargetOptions.parse(spec.options)
        old = self._loaded.get(spec.name)
        if old is None or old.spec != spec:
            # The scorer that this replaces is not closed: another thread may be scoring with it.
            scorer = load_verified(Snapshot(spec.digest, spec.snapshot), spec.compiled)
            self._loaded[spec.name] = _Loaded(spec, scorer)
        return self.describe(spec.name)

    def describe(self, name: str) -> Deployment:
        """What answers under this name."""
        spec = self._find(name).spec
        return Deployment(name, self.name, spec.ref, spec.version, spec.digest, Status.READY, f"memory:{name}")

    def undeploy(self, name: str) -> None:
        """Forget it."""
        self._loaded.pop(check_deployment_name(name), None)

    def list(self) -> Sequence[Deployment]:
        """Every deployment, by name."""
        return [self.describe(name) for name in sorted(self._loaded)]

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows."""
        return self._find(name).scorer.predict(rows)

    def _find(self, name: str) -> _Loaded:
        loaded = self._loaded.get(check_deployment_name(name))
        if loaded is None:
            raise NotFound(unknown("deployment", name, self._loaded))
        return loaded
