"""What a target is. Every implementation passes :class:`lifecycle.testing.TargetContract`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from lifecycle.domain.deployment import Deployment, DeploymentSpec, ModelSource, Variant
from lifecycle.domain.model import Snapshot
from lifecycle.errors import OptionError, UsageError
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.validation import one_line

if TYPE_CHECKING:
    import pyarrow as pa


class ModelFiles(Protocol):
    """The files of versions on this machine."""

    def snapshot(self, source: ModelSource) -> Snapshot:
        """The version's files as they were registered, not verified. Raises NotFound when they are not here."""
        ...

    def compiled(self, source: ModelSource) -> Path:
        """The folder of the version's compiled form. Raises NotFound when it is not here."""
        ...


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What a target is given.

    Attributes:
        home: The product's folder on this machine. A target keeps its state below :attr:`deployments`.
        models: Where it gets the files of versions.
        secret: The value of a secret, such as an API key, by name; None where there is none.
        registry: Environment variables that lead a process to the registry. Called only when they are needed.
    """

    home: Path
    models: ModelFiles
    secret: Callable[[str], str | None] = os.environ.get
    registry: Callable[[], Mapping[str, str]] = dict

    @property
    def deployments(self) -> Path:
        """Folder of all targets' state; a target's own is the one with its name."""
        return self.home / "deployments"


class Target(Protocol):
    """A kind of place. Constructed with its context: ``Target(context)``.

    What not every target can do is a protocol of its own, below: ``isinstance(target, Observes)``.
    """

    name: str
    Options: ClassVar[type[TargetOptions]]
    """What ``-C`` can say to it; checked before anything happens, a promotion included."""
    help: str
    """What it does and which ``-C`` options it takes, for ``mlflow deployments help``."""

    def __init__(self, context: TargetContext) -> None: ...

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Bring a version up, or replace the one that answers under this name.

        Blocks until it answers, or raises with nothing left behind and the old version still answering.
        The same variants and options again change nothing. There is no moment without a healthy copy.

        Raises:
            OptionError: an option is unknown or malformed; the message lists the known ones.
            UsageError: several variants, and the target does not route traffic.
            NotFound: the context does not have the files.
            DeploymentFailed, Conflict: it did not come up.
        """
        ...

    def describe(self, name: str) -> Deployment:
        """Raises NotFound for an unknown name."""
        ...

    def undeploy(self, name: str) -> None:
        """Take it down. Idempotent: an unknown name is no error."""
        ...

    def list(self) -> Sequence[Deployment]:
        """Every deployment, by name."""
        ...

    def predict(self, name: str, rows: Batch) -> Predictions:
        """Score rows where the deployment is.

        Raises:
            NotFound: unknown name.
            Unavailable: it does not answer.
            InvalidInput: the rows do not fit the signature.
        """
        ...


@runtime_checkable
class FollowsStages(Protocol):
    """Its deployments of a stage or an alias are kept equal to it: a service is, a finished output is not."""

    follows: bool


@runtime_checkable
class Observes(Protocol):
    """It keeps rows that were scored."""

    def observations(self, name: str) -> Observations:
        """Raises NotFound for an unknown name."""
        ...


class Observations(Protocol):
    """Rows that a deployment scored, oldest first, with their predictions and the version that gave them.

    Attributes:
        location: Where they are kept, for people and for gates: a path or a URI; empty where none are kept.
    """

    location: str

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Read them. A batch is of one version: its inputs, and columns that begin with ``_lifecycle_``."""
        ...


@runtime_checkable
class RoutesTraffic(Protocol):
    """It can split the traffic of a deployment among several variants."""

    def traffic(self, name: str, shares: Mapping[int, float]) -> Deployment:
        """Change the shares of the versions that answer.

        Raises:
            NotFound: unknown name, or a version that is not there.
            UsageError: the shares do not add up to 1.
        """
        ...


@runtime_checkable
class SharedDeployments(Protocol):
    """Its deployments are seen from several homes, such as a cluster's.

    Their followers agree by a lease in the registry on which one of them works.

    Attributes:
        scope: Names what they share: up to 100 letters, digits and ``. _ -``, the same for all that see the same.
    """

    scope: str


def follows(target: Target) -> bool:
    """Whether the deployments of a target are kept equal to the stages that they name."""
    return isinstance(target, FollowsStages) and target.follows


def only_variant(spec: DeploymentSpec, target: str) -> Variant:
    """The champion, for a target that does not route traffic.

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
    """A target's own options. Subclass it with one described field an option.

    Values arrive as strings. Numbers and booleans (``true/1/yes/on``, ``false/0/no/off``) are parsed by the
    field's type; for a list or a mapping declare ``pydantic.Json[...]``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Self:
        """The options, checked.

        Raises:
            OptionError: a key is unknown, missing or has an unusable value; lists the known keys.
        """
        try:
            return cls.model_validate(dict(options))
        except ValidationError as exc:
            raise OptionError(one_line(exc, cls)) from None

    @classmethod
    def describe(cls) -> str:
        """One line an option, for the target's help."""
        return "\n".join(_describe(name, field) for name, field in cls.model_fields.items())


def _describe(name: str, field: FieldInfo) -> str:
    note = "required" if field.is_required() else f"default: {field.get_default(call_default_factory=True)}"
    return f"  -C {name}=…  {field.description or ''} ({note})"
