"""The data quality gate: current rows against a Great Expectations suite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lifecycle.data.dataset import Dataset
from lifecycle.domain.charts import Chart
from lifecycle.domain.text import printable
from lifecycle.domain.verdict import Figure, Verdict
from lifecycle.errors import UsageError
from lifecycle.gates.contract import (
    GateOptions,
    broke,
    failed,
    findings_of,
    inconclusive,
    listing,
    no_current_data,
    passed,
    percent,
    too_few_rows,
)
from lifecycle.gates.data_quality.suite import (
    TABLE,
    ExpectationResult,
    ExpectationStatus,
    Suite,
    columns_of,
    expectations_of,
    kwargs_of,
    read_suite,
)
from lifecycle.gates.subject import Subject

_WORDS = {
    "expect_column_to_exist": "is missing",
    "expect_column_values_to_not_be_null": "{unexpected} null ({allowed} allowed)",
    "expect_column_values_to_be_between": "{unexpected} {beyond} ({allowed} allowed)",
    "expect_column_values_to_be_in_set": "{unexpected} in no known category ({allowed} allowed)",
    "expect_column_values_to_be_in_type_list": "has another type",
    "expect_column_values_to_be_of_type": "has another type",
    "expect_column_median_to_be_between": "median {observed:g} is {beyond}",
    "expect_column_mean_to_be_between": "mean {observed:g} is {beyond}",
    "expect_column_stdev_to_be_between": "spread {observed:g} is {beyond}",
    "expect_column_min_to_be_between": "the smallest value is {beyond}",
    "expect_column_max_to_be_between": "the largest value is {beyond}",
    "expect_column_sum_to_be_between": "the sum is {beyond}",
    "expect_column_unique_value_count_to_be_between": "number of different values {observed:,} is {beyond}",
    "expect_column_values_to_be_unique": "{unexpected} more than once ({allowed} allowed)",
    "expect_table_row_count_to_be_between": "number of rows {observed:,} is {beyond}",
    "expect_table_row_count_to_equal": "number of rows {observed:,} is not {value:,}",
}
_WITHOUT_FIGURES = {
    "expect_column_median_to_be_between": "the median is {beyond}",
    "expect_column_mean_to_be_between": "the mean is {beyond}",
    "expect_column_stdev_to_be_between": "the spread is {beyond}",
}


def unmet_words(result: ExpectationResult) -> str:
    """``column: what is wrong``; the expectation's name if there is no wording for it."""
    kind, kwargs = result.expectation["type"], kwargs_of(result.expectation)
    mostly = kwargs.get("mostly")
    figures = {
        "unexpected": percent((result.details.get("unexpected_percent") or 0) / 100),
        "allowed": percent(1 - (1.0 if mostly is None else float(mostly))),
        "observed": result.details.get("observed_value"),
        "beyond": _beyond(kwargs),
    }
    for wording in (_WORDS.get(kind), _WITHOUT_FIGURES.get(kind)):
        try:
            return f"{result.subject}: {wording.format(**{**kwargs, **figures})}" if wording else _by_name(result)
        except (KeyError, ValueError, TypeError):  # no figure, such as the median of zero values
            continue
    return _by_name(result)


def bound(value: object) -> str:
    """One end of a range; empty where it is open.

    >>> bound(1000000.0)
    '1e+06'
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:g}"
    return "" if value is None else str(value)[:40]


def _beyond(kwargs: Mapping[str, Any]) -> str:
    low, high = bound(kwargs.get("min_value")), bound(kwargs.get("max_value"))
    return f"outside {low} to {high}" if low and high else f"below {low}" if low else f"above {high}"


def _by_name(result: ExpectationResult) -> str:
    name = result.expectation["type"].removeprefix("expect_").replace("_", " ")
    return f"{result.subject}: does not meet {name!r}"


class DataQualityOptions(GateOptions):
    """Which rows to judge, by which suite."""

    current: str | None = Field(default=None, description="Today's rows: a file, folder, glob or query.")
    suite: str | None = Field(
        default=None, description="File with a Great Expectations suite, instead of the one logged with the run."
    )
    min_rows: int = Field(default=100, ge=1, description="Rows needed to judge.")
    sample_rows: int = Field(
        default=100_000,
        ge=1000,
        description="Most rows that Great Expectations itself is given. Of more, expectations on one column are "
        "judged on all rows, and the rest on as many drawn at random.",
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


@dataclass(frozen=True, slots=True)
class DataQualityGate:
    """Validates the current data with a Great Expectations suite: the one logged with the run, or a file.

    Great Expectations runs in memory on pandas and leaves no files. Most of its expectations hold for rows without
    values; here those are INCONCLUSIVE.
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
            named = self.options.suite
            suite = read_suite(Path(named)) if named is not None else subject.suite or {"expectations": []}
            expectations = expectations_of(suite)
        except UsageError as exc:
            return broke(self.name, "bad_suite", f"The suite cannot be read: {exc}.")
        if not expectations:
            message = "The training run logged no expectations. Call lifecycle.track(reference) inside it."
            if named is not None:
                message = f"{named} expects nothing. Derive one: lifecycle gate suite write DATA -o FILE."
            return inconclusive(self.name, "no_suite", message)
        return (
            too_few_rows(self.name, current, self.options.min_rows)
            or self._missing_columns(expectations, current)
            or self._judge(subject, suite, expectations, current)
        )

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
        from lifecycle.gates.data_quality.report import charts_of

        results = findings_of(self, subject)
        if results is not None:
            yield from charts_of(results)

    def _verdict(self, results: Sequence[ExpectationResult], current: Dataset) -> Verdict:
        """The verdict of the worst result."""
        rows, count = current.source, len(results)
        sampled = sum(result.sampled for result in results)
        given = min(self.options.sample_rows, current.count)
        note = f" {sampled} of them were judged on {given:,} rows drawn at random." if sampled else ""
        if unmet := [
            printable(unmet_words(r), limit=300) for r in results if r.finding is ExpectationStatus.UNMET
        ]:
            words = listing(unmet, separator="; ")
            message = f"{len(unmet)} of {count} expectations are not met by {rows}: {words}.{note}"
            return failed(self.name, "expectations_not_met", message)
        if unreadable := [r.note for r in results if r.finding is ExpectationStatus.UNREADABLE]:
            message = (
                f"Great Expectations cannot read {len(unreadable)} of {count} expectations: {listing(unreadable)}."
            )
            return broke(self.name, "bad_suite", message)
        if broken := _subjects(results, ExpectationStatus.BROKE):
            return broke(self.name, "expectation_broke", f"Great Expectations broke on: {broken}.")
        if vacuous := _subjects(results, ExpectationStatus.VACUOUS) or _nowhere(results, current):
            return inconclusive(self.name, "no_values", f"There is no value to judge in: {vacuous}.")
        if unjudged := _subjects(results, ExpectationStatus.UNJUDGED):
            message = (
                f"A sample cannot judge the expectations on: {unjudged}. Raise sample_rows to {current.count:,}."
            )
            return inconclusive(self.name, "needs_all_rows", message)
        return passed(self.name, f"The {current.count:,} rows of {rows} meet all {count} expectations.{note}")

    def _figures(self, results: Sequence[ExpectationResult], suite: Suite, current: Dataset) -> dict[str, Figure]:
        found = [result.finding for result in results]
        known = {column for result in results for column in columns_of(result.expectation)}
        sampled = sum(result.sampled for result in results)
        draw = {"sample_rows": self.options.sample_rows, "seed": self.options.seed} if sampled else {}
        return {
            "rows": current.count,
            "expectations": len(results),
            "not_met": found.count(ExpectationStatus.UNMET),
            "broke": found.count(ExpectationStatus.BROKE) + found.count(ExpectationStatus.UNREADABLE),
            "extra_columns": len(set(current.inputs) - known),
            "suite": hashlib.sha256(json.dumps(suite, sort_keys=True).encode()).hexdigest()[:16],
            "sampled_expectations": sampled,
            **draw,
        }


def _nowhere(results: Sequence[ExpectationResult], current: Dataset) -> str:
    """``any column`` where no expectation looked at a value: that columns exist says nothing about the data."""
    asked = [r.expectation for r in results if r.expectation["type"] != "expect_column_to_exist"]
    if any(expectation["type"] == "expect_column_values_to_be_null" for expectation in asked):
        return ""
    columns = dict.fromkeys(column for e in asked for column in columns_of(e) if column in current.columns)
    return "" if any(current.column(c).notna().any() for c in columns) else "any column"


def _subjects(results: Sequence[ExpectationResult], finding: ExpectationStatus) -> str:
    named = dict.fromkeys(_quoted(r.subject) for r in results if r.finding is finding)
    return listing(list(named))


def _quoted(subject: str) -> str:
    return subject if subject == TABLE else repr(printable(subject, limit=200))
