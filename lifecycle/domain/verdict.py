"""A gate's verdict on one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lifecycle.domain.text import json_types

Figure = float | int | str | bool


class Outcome(StrEnum):
    """The four answers of a gate, from best to worst. Only PASSED promotes."""

    PASSED = "PASSED"
    """The check ran on enough data, and its demands are met."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """The check could not judge: too few rows, no reference, a column it cannot read."""
    ERROR = "ERROR"
    """The check itself failed to run."""
    FAILED = "FAILED"
    """The check ran and its demands are not met."""


_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer.

    Attributes:
        gate: The gate's name.
        outcome: One of the four answers.
        reason: Stable code for machines, ``<gate>.<what>``, such as ``drift.share_exceeded``.
        message: One or two sentences for people. Names columns and figures, never row values.
        figures: What was measured and what was demanded.
        seconds: How long the gate took.
    """

    gate: str
    outcome: Outcome
    reason: str
    message: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    seconds: float | int = field(default=0.0, metadata={"digits": 3})

    def as_dict(self) -> dict[str, Any]:
        """As JSON types; seconds to the millisecond."""
        fields: dict[str, Any] = json_types(self)
        return fields


def worst_of(verdicts: Iterable[Verdict]) -> Outcome:
    """The worst outcome. Without any verdict it is INCONCLUSIVE, since nothing was checked."""
    return max((v.outcome for v in verdicts), key=_SEVERITY.__getitem__, default=Outcome.INCONCLUSIVE)
