"""What came of one expectation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lifecycle.gates.data_quality.suite import Expectation, subject_of


class Finding(StrEnum):
    """What can be said of an expectation."""

    MET = "met"
    UNMET = "not met"
    VACUOUS = "met, for want of values"
    BROKE = "broke on these rows"
    UNREADABLE = "not readable"
    UNJUDGED = "needs all rows at once"


@dataclass(frozen=True, slots=True)
class Result:
    """One expectation, and what was found.

    Attributes:
        expectation: ``type`` and ``kwargs``; of one that is not readable, whatever was there.
        details: Great Expectations' own ``result``: counts and shares. No row values.
        note: Why it is not readable.
        sampled: Whether it was judged on a sample of the rows.
    """

    expectation: Expectation
    finding: Finding
    details: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    sampled: bool = False

    @property
    def subject(self) -> str:
        """The column or columns that it is about, or ``table``."""
        return subject_of(self.expectation)
