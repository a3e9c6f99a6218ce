"""What a user asks of a deployment, with the ``-C`` options that are ours and not the target's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from lifecycle.domain.deployment import check_deployment_name
from lifecycle.domain.model_ref import ModelRef
from lifecycle.targets.options import TargetOptions


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
    """A deployment as asked for.

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
        """Sort the options into ours and the target's.

        Raises:
            UsageError, OptionError: an unusable name or option.
        """
        ours = {k: v for k, v in options.items() if k in ReleaseOptions.model_fields}
        theirs = {k: v for k, v in options.items() if k not in ours}
        return cls(check_deployment_name(name), target, ref, ReleaseOptions.parse(ours), theirs)
