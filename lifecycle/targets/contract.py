"""What a target is. Every implementation passes :class:`lifecycle.testing.TargetContract`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from lifecycle.domain.deployment import Deployment, DeploymentSpec
from lifecycle.scoring.contract import Batch, Predictions
from lifecycle.targets.options import TargetOptions


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
