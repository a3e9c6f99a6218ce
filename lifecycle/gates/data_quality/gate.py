"""Whether the rows of today are what the training run expects of them. Great Expectations judges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from lifecycle.data.dataset import Dataset
from lifecycle.domain.charts import Chart
from lifecycle.domain.sanitize import printable
from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.errors import UsageError
from lifecycle.gates.contract import GateOptions, findings_of
from lifecycle.gates.data_quality.result import Finding, Result
from lifecycle.gates.data_quality.suite import TABLE, Suite, columns_of, expectations_of, read_suite
from lifecycle.gates.data_quality.words import unmet_words
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
    """Which rows to judge, and by what."""

    current: str | None = Field(default=None, description="Today's rows: a file, folder, glob or query.")
    suite: str | None = Field(
        default=None, description="File with a Great Expectations suite, instead of the one logged with the run."
    )
    min_rows: int = Field(default=100, ge=1, description="Rows needed to judge.")
    sample_rows: int = Field(
        default=100_000,
        ge=1000,
        description="Most rows that Great Expectations itself is given. Of more, whatever one column tells is "
        "judged from all of them, and the rest on as many drawn at random.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


@dataclass(frozen=True, slots=True)
class DataQualityGate:
    """Validates the current data with a Great Expectations suite: the one logged with the run, or a file.

    Great Expectations runs in memory on pandas and leaves no files. On rows without values most of its
    expectations hold; here those are not taken for an answer.
    """

    Options: ClassVar[type[GateOptions]] = DataQualityOptions
    name: ClassVar[str] = "data_quality"
    before_loading: ClassVar[bool] = False

    options: DataQualityOptions

    def evaluate(self, subject: Subject) -> Verdict:
        """INCONCLUSIVE without current data, rows or a suite; ERROR when an expectation itself broke."""
        current = subject.current(self.options.current)
        if current is None:
            return no_current_data(self.name)
        try:
            suite = self._suite(subject)
            expectations = expectations_of(suite)
        except UsageError as exc:
            return broke(self.name, "bad_suite", f"The suite cannot be read: {exc}.")
        if not expectations:
            return self._no_suite()
        return (
            too_few_rows(self.name, current, self.options.min_rows)
            or self._missing_columns(expectations, current)
            or self._judge(subject, suite, expectations, current)
        )

    def _suite(self, subject: Subject) -> Suite:
        if self.options.suite is not None:
            return read_suite(Path(self.options.suite))
        return subject.suite or {"expectations": []}

    def _no_suite(self) -> Verdict:
        message = "The training run logged no expectations. Call lifecycle.track(reference) inside it."
        if self.options.suite is not None:
            message = f"{self.options.suite} expects nothing. Derive one: lifecycle gate suite write DATA -o FILE."
        return inconclusive(self.name, "no_suite", message)

    def _missing_columns(self, expectations: Sequence[object], current: Dataset) -> Verdict | None:
        demanded = dict.fromkeys(column for e in expectations for column in columns_of(e))
        missing = [_quoted(column) for column in demanded if column not in current.columns]
        if not missing:
            return None
        message = f"{current.source} lacks {len(missing)} of the expected columns: {listing(missing)}."
        return failed(self.name, "missing_columns", message, {"missing_columns": len(missing)})

    def _judge(self, subject: Subject, suite: Suite, expectations: Sequence[object], current: Dataset) -> Verdict:
        from lifecycle.gates.data_quality.judge import judge

        results = judge(expectations, current, self.options.sample_rows, self.options.seed)
        subject.findings[self.name] = results
        return replace(self._verdict(results, current), figures=self._figures(results, suite, current))

    def explain(self, subject: Subject, verdict: Verdict) -> Iterator[Chart]:  # noqa: ARG002  # of the contract
        """Shares of nulls and of unexpected values as bars, and Great Expectations' report."""
        from lifecycle.gates.data_quality.exhibits import exhibits_of

        results = findings_of(self, subject)
        if results is not None:
            yield from exhibits_of(results)

    def _verdict(self, results: Sequence[Result], current: Dataset) -> Verdict:
        """The worst that was found decides."""
        rows, count = current.source, len(results)
        sampled = sum(result.sampled for result in results)
        given = min(self.options.sample_rows, current.count)
        note = f" {sampled} of them were judged on {given:,} rows drawn at random." if sampled else ""
        if unmet := [printable(unmet_words(r), limit=300) for r in results if r.finding is Finding.UNMET]:
            words = listing(unmet, separator="; ")
            message = f"{len(unmet)} of {count} expectations are not met by {rows}: {words}.{note}"
            return failed(self.name, "expectations_not_met", message)
        if unreadable := [r.note for r in results if r.finding is Finding.UNREADABLE]:
            message = (
                f"Great Expectations cannot read {len(unreadable)} of {count} expectations: {listing(unreadable)}."
            )
            return broke(self.name, "bad_suite", message)
        if broken := _subjects(results, Finding.BROKE):
            return broke(self.name, "expectation_broke", f"Great Expectations broke on: {broken}.")
        if vacuous := _subjects(results, Finding.VACUOUS) or _nowhere(results, current):
            return inconclusive(self.name, "no_values", f"There is no value to judge in: {vacuous}.")
        if unjudged := _subjects(results, Finding.UNJUDGED):
            message = (
                f"A sample cannot say what is expected of: {unjudged}. Raise sample_rows to {current.count:,}."
            )
            return inconclusive(self.name, "needs_all_rows", message)
        return passed(self.name, f"The {current.count:,} rows of {rows} meet all {count} expectations.{note}")

    def _figures(self, results: Sequence[Result], suite: Suite, current: Dataset) -> dict[str, Figure]:
        found = [result.finding for result in results]
        known = {column for result in results for column in columns_of(result.expectation)}
        sampled = sum(result.sampled for result in results)
        draw = {"sample_rows": self.options.sample_rows, "seed": self.options.seed} if sampled else {}
        return {
            "rows": current.count,
            "expectations": len(results),
            "not_met": found.count(Finding.UNMET),
            "broke": found.count(Finding.BROKE) + found.count(Finding.UNREADABLE),
            "extra_columns": len(set(current.inputs) - known),
            "suite": _digest(suite),
            "sampled_expectations": sampled,
            **draw,
        }


def _nowhere(results: Sequence[Result], current: Dataset) -> str:
    """``any column`` where no value was looked at: that columns are there says nothing of the data."""
    asked = [r.expectation for r in results if r.expectation["type"] != "expect_column_to_exist"]
    if any(expectation["type"] == "expect_column_values_to_be_null" for expectation in asked):
        return ""
    columns = dict.fromkeys(column for e in asked for column in columns_of(e) if column in current.columns)
    return "" if any(current.column(c).notna().any() for c in columns) else "any column"


def _digest(suite: Suite) -> str:
    return hashlib.sha256(json.dumps(suite, sort_keys=True).encode()).hexdigest()[:16]


def _subjects(results: Sequence[Result], finding: Finding) -> str:
    named = dict.fromkeys(_quoted(r.subject) for r in results if r.finding is finding)
    return listing(list(named))


def _quoted(subject: str) -> str:
    return subject if subject == TABLE else repr(printable(subject, limit=200))
