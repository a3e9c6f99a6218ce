"""From ``models:/…`` to a deployment: resolve, check the promotion, snapshot, compile, deploy to a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pydantic import Field

from lifecycle.domain.deployment import Deployment, DeploymentSpec, ModelSource, Variant, check_deployment_name
from lifecycle.domain.model import ModelRef, ModelVersion, Snapshot
from lifecycle.domain.policy import PolicyBook, StagePolicy
from lifecycle.errors import Conflict, NotFound, NotPromoted
from lifecycle.promotion.promoter import HeldVersion, Promoter
from lifecycle.registry.contract import ModelRegistry
from lifecycle.targets.contract import Target, TargetOptions

Compile = Callable[[ModelVersion, Snapshot], str]
"""Compiles a snapshot; returns why pyfunc has to serve instead, or an empty text."""


Release = Callable[[ModelRef, str, str | None], None]
"""Runs gates on a version and promotes it, with a file of current data."""


@dataclass(frozen=True)
class Deployer:
    """Deploys promoted versions to targets."""

    registry: ModelRegistry
    policies: PolicyBook
    promoter: Promoter
    release: Release
    target: Callable[[str], Target]
    compile: Compile

    def create(self, request: DeployRequest) -> Deployment:
        """Deploy under a new name.

        Raises:
            Conflict: the name is in use.
            NotPromoted: the version is not in the stage that the deployment belongs to.
            DeploymentFailed, OptionError: the target could not start it; nothing is left behind.
        """
        with suppress(NotFound):
            self.target(request.target).describe(request.name)
            message = f"deployment {request.name!r} exists on {request.target}; use update, or delete it first"
            raise Conflict(message)
        return self._deploy(request)

    def update(self, request: DeployRequest) -> Deployment:
        """Change version or options of a deployment; other options stay.

        Raises:
            NotFound: no such deployment.
        """
        existing = self.target(request.target).describe(request.name)
        options = {**existing.options, **request.options}
        return self._deploy(replace(request, options=options), existing_only=True)

    def converge(self, deployment: Deployment) -> Deployment:
        """Deploy what a followed stage holds now.

        Raises:
            NotFound: the deployment was deleted meanwhile.
        """
        request = DeployRequest(deployment.name, deployment.target, deployment.ref, options=deployment.options)
        return self._deploy(request, existing_only=True)

    def wanted(self, ref: ModelRef, stage: str = "production") -> HeldVersion:
        """The promoted version that ``ref`` means, with its digest at promotion.

        Raises:
            NotPromoted: it is not in the stage.
        """
        policy = self.stage_of(ref, stage)
        if not ref.pinned:
            return self.promoter.held(ref.name, policy)
        version = self.registry.get(ref)
        if policy.holds(version.stage, version.aliases):
            held = self.promoter.held(ref.name, policy)
            if held.version.version == version.version:
                return held
        raise NotPromoted(
            f"version {version.version} of {version.model} (in stage {version.stage}) is not promoted to "
            f"{policy.where}, so it is not deployed. Run: lifecycle gate run {version.uri} --stage {policy.name}, "
            f"then lifecycle promote {version.uri} --stage {policy.name}; or deploy with -C promote=true"
        )

    def resolve(self, request: DeployRequest) -> DeploymentSpec:
        """The deployment for a target: promoted if requested, checked, fetched and compiled.

        Raises:
            NotPromoted: the version is not in the stage that the deployment belongs to.
            OptionError: the target knows no such option.
        """
        self.target(request.target).Options.parse(request.options)
        if request.release.promote:
            stage = self.stage_of(request.ref, request.release.stage)
            self.release(request.ref, stage.name, request.release.current)
        held = self.wanted(request.ref, request.release.stage)
        snapshot = self.registry.snapshot(held.version, held.digest or None)
        source = ModelSource(held.version.uri, snapshot.digest)
        reason = self.compile(held.version, snapshot)
        champion = Variant(held.version.version, source, compiled=not reason, reason=reason)
        return DeploymentSpec(request.name, request.ref, (champion,), dict(request.options))

    def _deploy(self, request: DeployRequest, *, existing_only: bool = False) -> Deployment:
        spec = replace(self.resolve(request), existing_only=existing_only)
        return self.target(request.target).deploy(spec)

    def stage_of(self, ref: ModelRef, stage: str = "production") -> StagePolicy:
        """The stage that ``ref`` names; ``stage`` if it names a version.

        Raises:
            NotPromoted: an alias that no stage guards.
            NotFound: no such stage.
        """
        policy = self.policies.of(ref.name)
        if ref.alias is not None:
            guarding = policy.guarding_alias(ref.alias)
            if guarding is None:
                known = ", ".join(s.alias for s in policy.stages if s.alias) or "none"
                raise NotPromoted(
                    f"alias {ref.alias!r} of {ref.name} is not guarded by any stage, so it is not deployed. "
                    f"Guarded aliases: {known}"
                )
            return guarding
        return policy.stage(ref.stage or stage)


class ReleaseOptions(TargetOptions):
    """Options that every target takes."""

    stage: str = Field(
        default="production", description="The stage that a deployment of a version number belongs to."
    )
    promote: bool = Field(
        default=False, description="Run the gates and promote first, through every stage on the way."
    )
    current: str | None = Field(
        default=None, description="With promote=true: the rows of today for the gates, a file."
    )


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A deployment request.

    Attributes:
        release: Options that every target takes.
        options: The target's own options, as strings.
    """

    name: str
    target: str
    ref: ModelRef
    release: ReleaseOptions = field(default_factory=ReleaseOptions)
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, target: str, name: str, ref: ModelRef, options: Mapping[str, str]) -> DeployRequest:
        """Split the options into those of every target and the target's own.

        Raises:
            UsageError, OptionError: a name or option is not valid.
        """
        ours = {k: v for k, v in options.items() if k in ReleaseOptions.model_fields}
        theirs = {k: v for k, v in options.items() if k not in ours}
        return cls(check_deployment_name(name), target, ref, ReleaseOptions.parse(ours), theirs)
