"""The contract of a gate, and constructors of its verdicts.

Every implementation passes :class:`lifecycle.testing.GateContract`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from lifecycle.data.dataset import Dataset
from lifecycle.domain.charts import Chart
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.gates.subject import Subject

EXPLAIN_SECONDS = 60.0
"""Seconds that one gate's :meth:`ExplainingGate.explain` may take, apart from ``max_seconds``."""


class GateOptions(BaseModel):
    """Base class of a gate's options in the policy. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_seconds: float = Field(
        default=600, gt=0, allow_inf_nan=False, description="Time that the gate may take; past it, INCONCLUSIVE."
    )


class Gate(Protocol):
    """One check. Constructed with its options: ``Gate(Gate.Options(...))``.

    Attributes:
        name: The name of its entry point in ``lifecycle.gates``.
        before_loading: Whether it judges the files before the model is loaded. Such gates run first, and
            unless they pass, the model is not loaded for the others.
    """

    name: ClassVar[str]
    Options: ClassVar[type[GateOptions]]
    before_loading: ClassVar[bool]

    @property
    def options(self) -> GateOptions:
        """The gate's options."""

    def evaluate(self, subject: Subject) -> Verdict:
        """Judge the subject. Fast; makes no charts.

        Too little data gives an INCONCLUSIVE verdict. An exception means that the gate itself broke; the
        runner turns it into an ERROR verdict. What :meth:`ExplainingGate.explain` needs may be left in
        ``subject.findings``; see :func:`findings_of`.
        """


@runtime_checkable
class ExplainingGate(Protocol):
    """A gate that also makes charts and pages."""

    def explain(self, subject: Subject, verdict: Verdict) -> Iterable[Chart]:
        """Charts and pages for the report on ``verdict``, which this gate gave about ``subject``.

        Called after the verdict is recorded, and only where a report is shown or kept. It has
        :data:`EXPLAIN_SECONDS`. Late charts and exceptions are noted in the report; the verdict
        stays.
        """


def findings_of(gate: Gate, subject: Subject) -> Any:
    """What ``gate.evaluate`` left in ``subject.findings``, or None; evaluates again if it is missing."""
    if gate.name not in subject.findings:
        gate.evaluate(subject)
    return subject.findings.get(gate.name)


_NO_FIGURES: Mapping[str, Figure] = {}


def passed(gate: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """A PASSED verdict."""
    return Verdict(gate, Outcome.PASSED, f"{gate}.passed", message, figures)


def failed(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """A FAILED verdict."""
    return Verdict(gate, Outcome.FAILED, f"{gate}.{what}", message, figures)


def inconclusive(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """An INCONCLUSIVE verdict."""
    return Verdict(gate, Outcome.INCONCLUSIVE, f"{gate}.{what}", message, figures)


def broke(gate: str, what: str, message: str, figures: Mapping[str, Figure] = _NO_FIGURES) -> Verdict:
    """An ERROR verdict."""
    return Verdict(gate, Outcome.ERROR, f"{gate}.{what}", message, figures)


def no_current_data(gate: str) -> Verdict:
    """INCONCLUSIVE: no current rows were given."""
    return inconclusive(
        gate,
        "no_current_data",
        "There is no current data to judge. Give some with --current DATA, or with the gate's option "
        "'current' in lifecycle.yaml.",
    )


def too_few_rows(gate: str, rows: Dataset, min_rows: int) -> Verdict | None:
    """INCONCLUSIVE when ``rows`` are fewer than ``min_rows`` (or none at all), else None."""
    count = rows.count
    if count >= max(min_rows, 1):
        return None
    return inconclusive(
        gate,
        "too_few_rows",
        f"{rows.source} has {count:,} rows; {min_rows:,} are needed to judge. Give more rows, or lower min_rows.",
        {"rows": count, "min_rows": min_rows},
    )


def listing(items: Sequence[str], limit: int = 5, separator: str = ", ") -> str:
    """The first items, and how many more there are.

    >>> listing(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    shown = separator.join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"


def percent(share: float) -> str:
    """A share, 0 to 1, in percent.

    >>> percent(0.1234)
    '12.3 %'
    """
    return f"{100 * share:.1f} %"
