"""Are the rows of today of today? A gate that somebody else might write, whole in one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import GateOptions, failed, inconclusive, no_current_data, passed, too_few_rows
from lifecycle.gates.subject import Subject


class FreshnessOptions(GateOptions):
    """Where the time is, and how old it may be."""

    column: str = Field(description="Column with each row's time.")
    max_age_days: float = Field(default=1, gt=0, description="The newest row may be this old, in days.")
    min_rows: int = Field(default=1, ge=1, description="Rows needed to judge.")


@dataclass(frozen=True)
class FreshnessGate:
    """Demands that the newest of the current rows is fresh."""

    Options: ClassVar[type[GateOptions]] = FreshnessOptions
    name: ClassVar[str] = "freshness"
    before_loading: ClassVar[bool] = False

    options: FreshnessOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without rows, the column, or a single time in it."""
        current = subject.current()
        if current is None:
            return no_current_data(self.name)
        if self.options.column not in current.columns:
            return inconclusive(self.name, "no_column", f"{current.source} has no column {self.options.column!r}.")
        return too_few_rows(self.name, current, self.options.min_rows) or self._judge(
            current.column(self.options.column)
        )

    def _judge(self, times: object) -> Verdict:
        import pandas as pd

        newest = pd.to_datetime(times, utc=True, errors="coerce").max()
        if pd.isna(newest):
            return inconclusive(self.name, "no_times", f"There is no time in {self.options.column!r}.")
        days = round((pd.Timestamp.now("UTC") - newest).total_seconds() / 86_400)
        figures = {"age_days": days, "max_age_days": self.options.max_age_days}
        if days > self.options.max_age_days:
            return failed(self.name, "stale", f"The newest row is {days} days old.", figures)
        return passed(self.name, f"The newest row is {days} days old.", figures)
