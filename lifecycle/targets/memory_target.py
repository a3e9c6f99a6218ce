"""Deployments inside this process: what notebooks and tests use where nothing must outlive them."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.deployment import Deployment, DeploymentSpec, Status, check_deployment_name
from lifecycle.errors import NotFound, unknown
from lifecycle.scoring.contract import Batch, Predictions, Scorer
from lifecycle.scoring.loader import load_verified
from lifecycle.targets.contract import TargetContext, TargetOptions, only_variant
from lifecycle.targets.records import DeploymentRecord


class MemoryTarget:
    """Scores in the caller's own process. Takes no options."""

    name = "memory"
    follows = True
    Options = TargetOptions
    help = "memory: answers inside the calling process and ends with it. Takes no -C options."

    def __init__(self, context: TargetContext) -> None:
        self._models = context.models
        self._loaded: dict[str, tuple[DeploymentSpec, Scorer]] = {}

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Load the version, then switch to it."""
        check_deployment_name(spec.name)
        TargetOptions.parse(spec.options)
        variant = only_variant(spec, self.name)
        old = self._find(spec.name) if spec.existing_only else self._loaded.get(spec.name)
        if old is None or old[0] != spec:
            # The scorer that this replaces is not closed: another thread may be scoring with it.
            compiled = self._models.compiled(variant.source) if variant.compiled else None
            scorer = load_verified(self._models.snapshot(variant.source), compiled)
            self._loaded[spec.name] = spec, scorer
        return self.describe(spec.name)

    def describe(self, name: str) -> Deployment:
        """What answers under this name."""
        spec = self._find(name)[0]
        return DeploymentRecord(spec, Status.READY, f"memory:{name}").deployment(self.name)

    def undeploy(self, name: str) -> None:
        """Forget it."""
        self._loaded.pop(check_deployment_name(name), None)

    def list(self) -> Sequence[Deployment]:
        """All deployments, ordered by name."""
        return [self.describe(name) for name in sorted(self._loaded)]

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows."""
        return self._find(name)[1].predict(rows)

    def _find(self, name: str) -> tuple[DeploymentSpec, Scorer]:
        loaded = self._loaded.get(check_deployment_name(name))
        if loaded is None:
            raise NotFound(unknown("deployment", name, self._loaded))
        return loaded
