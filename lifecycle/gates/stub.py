"""A gate that says what it is told: for tests of whatever runs gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.subject import Subject


class StubOptions(GateOptions):
    """What to say."""

    outcome: Outcome = Field(default=Outcome.PASSED, description="The answer, whatever the subject.")


@dataclass(frozen=True, slots=True)
class StubGate:
    """Looks at nothing. Never part of a policy: it has no entry point."""

    Options: ClassVar[type[GateOptions]] = StubOptions
    name: ClassVar[str] = "stub"
    before_loading: ClassVar[bool] = False

    options: StubOptions

    def evaluate(self, subject: Subject) -> Verdict:  # noqa: ARG002
        """The verdict that the options name."""
        outcome = self.options.outcome
        return Verdict(self.name, outcome, f"{self.name}.{outcome.lower()}", "As told.")
