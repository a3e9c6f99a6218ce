"""A gate with a fixed verdict, for tests of code that runs gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from lifecycle.domain.verdict import Outcome, Verdict
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.subject import Subject


class FakeGateOptions(GateOptions):
    """The verdict to give."""

    outcome: Outcome = Field(default=Outcome.PASSED, description="The outcome, for every subject.")


@dataclass(frozen=True, slots=True)
class FakeGate:
    """Gives the verdict of its options. It has no entry point, so no policy can name it."""

    Options: ClassVar[type[GateOptions]] = FakeGateOptions
    name: ClassVar[str] = "fake"
    before_loading: ClassVar[bool] = False

    options: FakeGateOptions

    def evaluate(self, subject: Subject) -> Verdict:  # noqa: ARG002
        """The verdict that the options name."""
        outcome = self.options.outcome
        return Verdict(self.name, outcome, f"{self.name}.{outcome.lower()}", "As the options say.")
