"""Whether the rows of today are what the training run expects of them. Great Expectations judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from lifecycle.domain.verdict import Verdict
from lifecycle.gates.contract import GateOptions
from lifecycle.gates.data.dataset import Dataset
from lifecycle.gates.subject import Subject
from lifecycle.gates.verdicts import (
    broke,
    failed,
    inconclusive,
    listing,
    no_current_data,
    passed,
    too_few_rows,
)


class DataQualityOptions(GateOptions):
    """Which rows to judge."""

    current: str | None = Field(default=None, description="File with today's rows.")
    min_rows: int = Field(default=100, ge=1, description="Rows needed to judge.")


@dataclass(frozen=True, slots=True)
class DataQualityGate:
    """Validates the current data with the suite that was logged with the training run.

    Great Expectations runs in memory on pandas and leaves no files. On rows without values most of its
    expectations hold; here those are not taken for an answer.
    """

    Options: ClassVar[type[GateOptions]] = DataQualityOptions
    name: ClassVar[str] = "data_quality"

    options: DataQualityOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without current data, rows or a suite; ERROR when an expectation itself broke."""
        current = subject.current(self.options.current)
        if current is None:
            return no_current_data(self.name)
        expectations = (subject.suite or {}).get("expectations")
        if not expectations:
            return inconclusive(
                self.name,
                "no_suite",
                "The training run logged no expectations. Call lifecycle.track(reference) inside it.",
            )
        return (
            too_few_rows(self.name, current, self.options.min_rows)
            or self._missing_columns(expectations, current)
            or self._judge(subject.suite or {}, current)
        )

    def _missing_columns(self, expectations: list[dict[str, Any]], current: Dataset) -> Verdict | None:
        demanded = dict.fromkeys(column for e in expectations for column in _columns_of(e))
        missing = [repr(column) for column in demanded if column not in current.columns]
        if not missing:
            return None
        message = f"{current.source} lacks {len(missing)} of the expected columns: {listing(missing)}."
        return failed(self.name, "missing_columns", message, {"missing_columns": len(missing)})

    def _judge(self, suite: dict[str, Any], current: Dataset) -> Verdict:
        from lifecycle.gates.great_expectations_run import BadSuite, validate

        try:
            findings = validate(suite, current.whole())
        except BadSuite as exc:
            return broke(
                self.name,
                "bad_suite",
                f"Great Expectations cannot read an expectation of the logged suite: {exc}.",
            )
        unmet = [f for f in findings if f.unmet]
        broken = list(dict.fromkeys(f.subject for f in findings if f.broke))
        vacuous = list(dict.fromkeys(f.subject for f in findings if f.vacuous))
        figures = {
            "rows": current.count,
            "expectations": len(findings),
            "not_met": len(unmet),
            "broke": sum(f.broke for f in findings),
        }
        if unmet:
            words = listing([f.words for f in unmet], separator="; ")
            message = f"{current.source} does not meet {len(unmet)} of {len(findings)} expectations: {words}."
            return failed(self.name, "expectations_not_met", message, figures)
        if broken:
            message = f"Great Expectations broke on: {listing(broken)}."
            return broke(self.name, "expectation_broke", message, figures)
        if vacuous:
            message = f"There is no value to judge in: {listing(vacuous)}."
            return inconclusive(self.name, "no_values", message, figures)
        message = f"The {current.count:,} rows of {current.source} meet all {len(findings)} expectations."
        return passed(self.name, message, figures)


def _columns_of(expectation: dict[str, Any]) -> list[str]:
    kwargs = expectation.get("kwargs", {})
    return [kwargs[k] for k in ("column", "column_A", "column_B") if k in kwargs] + list(
        kwargs.get("column_list", [])
    )
