"""The gate ``safety``: inspection and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, listing, passed
from lifecycle.gates.safety.rules import SafetyIssue, SafetyOptions
from lifecycle.gates.safety.scan import Inspection
from lifecycle.gates.subject import Subject


@dataclass(frozen=True, slots=True)
class SafetyGate:
    """Judges what loading the model would execute, from its files alone. Nothing is loaded or imported.

    Runs before every gate that loads the model, and unless it passes, none of them does.
    """

    Options: ClassVar[type[GateOptions]] = SafetyOptions
    name: ClassVar[str] = "safety"
    before_loading: ClassVar[bool] = True

    options: SafetyOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """FAILED for anything not on the operator's list; INCONCLUSIVE for what cannot be analysed."""
        inspection = Inspection(subject.candidate.snapshot.path, self.options)
        inspection.run()
        accepted = self.options.accept_unknown or ()
        findings = [
            found
            for found in inspection.findings
            if found.what != "unknown_format"
            or not any(fnmatchcase(found.file.partition("!")[0], pattern) for pattern in accepted)
        ]
        return self._verdict(sorted(findings, key=lambda found: found.weight), dict(inspection.figures()))

    def _verdict(self, findings: Sequence[SafetyIssue], figures: dict[str, Figure]) -> Verdict:
        figures["findings"] = len(findings)
        if not findings:
            message = (
                f"Loading the model runs nothing but what is on the list: {figures['files']} files were judged."
            )
            return passed(self.name, message, figures)
        worst = findings[0]
        said = listing(list(dict.fromkeys(str(found) for found in findings)), separator="; ").rstrip(".")
        return Verdict(self.name, worst.outcome, f"{self.name}.{worst.what}", f"{said}. {worst.advice}", figures)
