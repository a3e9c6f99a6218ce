"""What a gate is. Every implementation passes :class:`lifecycle.testing.GateContract`."""

from __future__ import annotations

from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field

from lifecycle.domain.verdict import Verdict
from lifecycle.gates.subject import Subject


class GateOptions(BaseModel):
    """A gate's own options, as the policy spells them. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_seconds: float = Field(
        default=600, gt=0, allow_inf_nan=False, description="Time that the gate may take; past it, INCONCLUSIVE."
    )


class Gate(Protocol):
    """One check. Constructed with its options: ``Gate(Gate.Options(...))``."""

    name: ClassVar[str]
    Options: ClassVar[type[GateOptions]]

    @property
    def options(self) -> GateOptions:
        """What it was constructed with."""
        ...

    def evaluate(self, subject: Subject) -> Verdict:
        """Judge the subject.

        Too little to judge on is INCONCLUSIVE, said in the verdict; an exception means that the gate
        itself broke, and the runner turns it into an ERROR verdict.
        """
        ...
