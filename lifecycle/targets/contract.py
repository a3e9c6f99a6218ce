"""The contract of targets, and how they are found.

Every implementation passes :class:`lifecycle.testing.TargetContract`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from lifecycle.codec import one_line
from lifecycle.domain.deployment import Deployment, DeploymentSpec, ModelSource, Variant
from lifecycle.domain.model import Snapshot
from lifecycle.entry_points import PlugIns
from lifecycle.errors import OptionError, UsageError
from lifecycle.scoring.contract import Batch, Predictions

if TYPE_CHECKING:
    import pyarrow as pa


class ModelFiles(Protocol):
    """Access to the files of versions on this machine."""

    def snapshot(self, source: ModelSource) -> Snapshot:
        """Folder of the version's files, not verified. Raises NotFound when it is not here."""

    def compiled(self, source: ModelSource) -> Path:
        """The folder of the version's compiled form. Raises NotFound when it is not here."""


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What a target needs from the product.

    Attributes:
        home: The product's folder on this machine. A target keeps its state below :attr:`deployments`.
        models: Access to the files of versions.
        secret: Gives a secret, such as an API key, by name; None without one.
        registry: Gives environment variables with the registry's address, when they are needed.
    """

    home: Path
    models: ModelFiles
    secret: Callable[[str], str | None] = os.environ.get
    registry: Callable[[], Mapping[str, str]] = dict

    @property
    def deployments(self) -> Path:
        """Folder of all targets' state; each target has a folder with its name."""
        return self.home / "deployments"


class Target(Protocol):
    """A kind of place to deploy to. Constructed with its context: ``Target(context)``.

    Optional capabilities are protocols of their own, below: ``isinstance(target, Observes)``.
    """

    name: str
    Options: ClassVar[type[TargetOptions]]
    """Its ``-C`` options, validated before anything happens, a promotion included."""
    help: str
    """What it does and its ``-C`` options, for ``mlflow deployments help``."""

    def __init__(self, context: TargetContext) -> None: ...

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Deploy a version, or replace the one with this name.

        Blocks until it answers. On an error nothing is left behind and the old version still answers.
        Repeating the same variants and options changes nothing. There is always a healthy copy.

        Raises:
            OptionError: an option is unknown or malformed; the message lists the known ones.
            UsageError: several variants, and the target does not route traffic.
            NotFound: the context lacks the files.
            DeploymentFailed, Conflict: it did not start.
        """

    def describe(self, name: str) -> Deployment:
        """The deployment. Raises NotFound for an unknown name."""

    def undeploy(self, name: str) -> None:
        """Stop and remove a deployment. Idempotent: an unknown name is not an error."""

    def list(self) -> Sequence[Deployment]:
        """All deployments, ordered by name."""

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows with the deployment.

        Raises:
            NotFound: unknown name.
            Unavailable: it does not answer.
            InvalidInput: the rows do not fit the signature.
        """


@runtime_checkable
class FollowsStages(Protocol):
    """Capability: deployments of a stage or alias follow it, as services do and finished outputs do not."""

    follows: bool


@runtime_checkable
class Observes(Protocol):
    """Capability: scored rows are kept."""

    def observations(self, name: str) -> Observations:
        """The deployment. Raises NotFound for an unknown name."""


class Observations(Protocol):
    """Rows that a deployment scored, oldest first, with predictions and version.

    Attributes:
        location: Path or URI of the rows; empty if none are kept.
    """

    location: str

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read the rows. Each batch has one version: its inputs, and columns that start with ``_lifecycle_``."""


@runtime_checkable
class RoutesTraffic(Protocol):
    """Capability: traffic can be split among several variants."""

    def traffic(self, name: str, shares: Mapping[int, float]) -> Deployment:
        """Change the traffic shares of variants.

        Raises:
            NotFound: unknown name or version.
            UsageError: the shares do not add up to 1.
        """


@runtime_checkable
class SharedDeployments(Protocol):
    """Capability: deployments are visible from several homes, such as those of a cluster.

    A lease in the registry decides which of their followers works.

    Attributes:
        scope: Name of the shared place: up to 100 letters, digits and ``. _ -``, equal in all its homes.
    """

    scope: str


def follows(target: Target) -> bool:
    """Whether deployments of a target follow the stages that they name."""
    return isinstance(target, FollowsStages) and target.follows


def only_variant(spec: DeploymentSpec, target: str) -> Variant:
    """The only variant, for a target that does not route traffic.

    Raises:
        UsageError: there are other variants.
    """
    if len(spec.variants) > 1:
        raise UsageError(
            f"target {target!r} cannot split traffic, and deployment {spec.name!r} asks for {len(spec.variants)} "
            "versions; deploy one version"
        )
    return spec.champion


class TargetOptions(BaseModel):
    """Base class of a target's options, with one described field per option.

    Values arrive as strings. Numbers and booleans (``true/1/yes/on``, ``false/0/no/off``) are parsed by the
    field's type; for a list or a mapping declare ``pydantic.Json[...]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """Parse and validate the options.

        Raises:
            OptionError: a key is unknown or missing, or a value is not valid; lists the known keys.
        """
        try:
            return cls.model_validate(dict(options))
        except ValidationError as exc:
            raise OptionError(one_line(exc, cls)) from None

    @classmethod
    def describe(cls) -> str:
        """One line per option, for the target's help."""
        return "\n".join(_describe(name, field) for name, field in cls.model_fields.items())


def _describe(name: str, field: FieldInfo) -> str:
    note = "required" if field.is_required() else f"default: {field.get_default(call_default_factory=True)}"
    return f"  -C {name}=…  {field.description or ''} ({note})"


_METHODS = ("deploy", "describe", "undeploy", "list", "predict")


def load_target(name: str, context: TargetContext) -> Target:
    """Import and construct a target.

    Raises:
        NotFound, Conflict, Unavailable, UsageError: as :meth:`lifecycle.entry_points.PlugIns.load`.
    """
    target: Target = TARGETS.load(name)(context)
    return target


def _problem_of(_name: str, loaded: object) -> str | None:
    if not isinstance(loaded, type):
        return "is not a class"
    options = getattr(loaded, "Options", None)
    if not (isinstance(options, type) and issubclass(options, TargetOptions)):
        return "has no class Options that derives from TargetOptions"
    lacking = [method for method in _METHODS if not callable(getattr(loaded, method, None))]
    return f"has no method {lacking[0]}" if lacking else None


TARGETS = PlugIns("lifecycle.targets", "target", _problem_of)
