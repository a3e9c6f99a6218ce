"""What a gate is. Every implementation passes :class:`lifecycle.testing.GateContract`."""

from __future__ import annotations

from typing import ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from lifecycle.domain.verdict import Verdict
from lifecycle.gates.subject import Subject


class GateOptions(BaseModel):
    """A gate's own options, as the policy spells them. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Gate(Protocol):
    """One check. Constructed with its options: ``Gate(Gate.Options(...))``."""

    name: ClassVar[str]
    Options: ClassVar[type[GateOptions]]

    def evaluate(self, subject: Subject) -> Verdict:
        """Judge the subject.

        Too little to judge on is INCONCLUSIVE, said in the verdict; an exception means that the gate
        itself broke, and the runner turns it into an ERROR verdict.
        """
        ...
