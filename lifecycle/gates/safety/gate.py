"""The gate ``safety``: options, inspection and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.gates.contract import GateOptions, listing, passed
from lifecycle.gates.safety.archives import MIB
from lifecycle.gates.safety.rules import EXACT_NAME, SafetyIssue, allow_list
from lifecycle.gates.safety.scan import Inspection, Scan
from lifecycle.gates.subject import Subject


def _exact(name: str) -> str:
    if not EXACT_NAME.fullmatch(name):
        message = f"{name!r} must be one exact name, such as 'my_package.transformers.Clip'; no patterns"
        raise ValueError(message)
    return name


class SafetyOptions(GateOptions):
    """The operator's options: what a model may contain. Nothing of it comes from the model."""

    allow: tuple[Annotated[str, AfterValidator(_exact)], ...] | None = Field(
        default=None, description="Names that a model may use beyond the list that ships with the gate."
    )
    allow_code: bool = Field(default=False, description="Whether a model may bring Python code of its own.")
    allow_unpinned: bool = Field(
        default=False, description="Whether a model's requirements may leave versions open."
    )
    accept_unknown: tuple[str, ...] | None = Field(
        default=None,
        description="Files of a kind that is not known, to be accepted as they are; patterns like docs/*.",
    )
    max_mib: int = Field(
        default=2048,
        ge=1,
        description="Size in MiB to which archives are unpacked, all together, and ONNX is read.",
    )


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
        folder = subject.candidate.snapshot.path
        allowed = allow_list(self.options.allow or ())
        scan = Scan(allowed, self.options.max_mib * MIB, allow_code=self.options.allow_code)
        inspection = Inspection(
            folder, scan, allow_code=self.options.allow_code, allow_unpinned=self.options.allow_unpinned
        )
        inspection.run(allowed)
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
