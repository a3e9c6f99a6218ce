"""What a target is. Every implementation passes :class:`lifecycle.testing.TargetContract`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from lifecycle.domain.deployment import Deployment, DeploymentSpec
from lifecycle.errors import OptionError
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.validation import one_line


class Target(Protocol):
    """A kind of place. Constructed with the folder it may keep its state in: ``Target(home)``."""

    name: str
    follows: bool
    """Whether a deployment of a stage or alias is kept equal to it: a service is, a finished piece of work
    (an output, a bundle) is not."""
    Options: ClassVar[type[TargetOptions]]
    """What ``-C`` can say to it; checked before anything happens, a promotion included."""
    help: str
    """What it does and which ``-C`` options it takes, for ``mlflow deployments help``."""

    def deploy(self, spec: DeploymentSpec) -> Deployment:
        """Bring a version up, or replace the one that answers under this name.

        Blocks until it answers, or raises with nothing left behind and the old version still answering.
        The same digest and options again change nothing. There is no moment without a healthy copy.

        Raises:
            OptionError: an option is unknown or malformed; the message lists the known ones.
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
