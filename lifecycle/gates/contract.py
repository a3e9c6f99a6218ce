"""The contract of a gate, constructors of its verdicts, and how gates are found.

Every implementation passes :class:`lifecycle.testing.GateContract`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifecycle.codec import one_line
from lifecycle.data.dataset import Dataset
from lifecycle.domain.charts import Chart
from lifecycle.domain.policy import GateSpec
from lifecycle.domain.verdict import Figure, Outcome, Verdict
from lifecycle.entry_points import PlugIns
from lifecycle.errors import ConfigError
from lifecycle.gates.subject import Subject

EXPLAIN_SECONDS = 60.0
"""Seconds that one gate's :meth:`ExplainingGate.explain` may take, apart from ``max_seconds``."""


class GateOptions(BaseModel):
    """Base class of a gate's options in the policy. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_seconds: float = Field(
        default=600, gt=0, allow_inf_nan=False, description="Time that the gate may take; past it, INCONCLUSIVE."
    )


def limit_field(description: str, **bounds: Any) -> Any:
    """The field of a limit that is demanded only where the policy names it."""
    return Field(default=None, allow_inf_nan=False, description=description, **bounds)


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


def load_gate(spec: GateSpec) -> Gate:
    """The gate that a policy names, with its options.

    Raises:
        NotFound, Conflict, Unavailable, UsageError: as :meth:`lifecycle.entry_points.PlugIns.load`.
        ConfigError: the options are wrong.
    """
    cls = gate_class(spec.name)
    try:
        options: GateOptions = cls.Options.model_validate(dict(spec.options))
    except ValidationError as exc:
        raise ConfigError(f"gate {spec.name!r}: {one_line(exc, cls.Options)}") from exc
    return cls(options)  # type: ignore[call-arg]  # a Protocol has no constructor of its own


def gate_class(name: str) -> type[Gate]:
    """The class of the gate called ``name``. Raises as :meth:`lifecycle.entry_points.PlugIns.load`."""
    loaded: type[Gate] = GATES.load(name)
    return loaded


def _problems(name: str, loaded: object) -> Iterator[str]:
    if not isinstance(loaded, type):
        yield "is not a class"
        return
    own_name, options = getattr(loaded, "name", None), getattr(loaded, "Options", None)
    if own_name != name:  # verdicts are matched with the policy by name, so its verdict would never count
        yield f"has the name {own_name!r}; it must be {name!r}, like its entry point"
    if not (isinstance(options, type) and issubclass(options, GateOptions)):
        yield "has no class Options that derives from GateOptions"
    if not _takes(loaded, 1):
        yield "cannot be constructed with its options alone"
    if not _takes(getattr(loaded, "evaluate", None), 2):
        yield "has no method evaluate(subject)"
    if hasattr(loaded, "explain") and not _takes(loaded.explain, 3):
        yield "has a method explain that does not take (subject, verdict)"
    if not isinstance(getattr(loaded, "before_loading", False), bool):
        yield "has a before_loading that is neither True nor False"


def _takes(function: object, arguments: int) -> bool:
    """Whether a function accepts so many positional arguments, ``self`` included."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # implemented in C, without a signature
        return True
    return True


GATES = PlugIns("lifecycle.gates", "gate", lambda name, loaded: next(_problems(name, loaded), None))
