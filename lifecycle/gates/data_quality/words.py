"""What is wrong, for people: with figures about a column as a whole, never a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.gates.data_quality.result import Result
from lifecycle.gates.data_quality.suite import kwargs_of
from lifecycle.gates.verdicts import percent

_WORDS = {
    "expect_column_to_exist": "is missing",
    "expect_column_values_to_not_be_null": "{unexpected} null ({allowed} may be)",
    "expect_column_values_to_be_between": "{unexpected} {beyond} ({allowed} may be)",
    "expect_column_values_to_be_in_set": "{unexpected} in no known category ({allowed} may be)",
    "expect_column_values_to_be_in_type_list": "has another type",
    "expect_column_values_to_be_of_type": "has another type",
    "expect_column_median_to_be_between": "median {observed:g} is {beyond}",
    "expect_column_mean_to_be_between": "mean {observed:g} is {beyond}",
    "expect_column_stdev_to_be_between": "spread {observed:g} is {beyond}",
    "expect_column_min_to_be_between": "the smallest value is {beyond}",
    "expect_column_max_to_be_between": "the largest value is {beyond}",
    "expect_column_sum_to_be_between": "the sum is {beyond}",
    "expect_column_unique_value_count_to_be_between": "number of different values {observed:,} is {beyond}",
    "expect_column_values_to_be_unique": "{unexpected} more than once ({allowed} may be)",
    "expect_table_row_count_to_be_between": "number of rows {observed:,} is {beyond}",
    "expect_table_row_count_to_equal": "number of rows {observed:,} is not {value:,}",
}
_WITHOUT_FIGURES = {
    "expect_column_median_to_be_between": "the median is {beyond}",
    "expect_column_mean_to_be_between": "the mean is {beyond}",
    "expect_column_stdev_to_be_between": "the spread is {beyond}",
}


def unmet_words(result: Result) -> str:
    """``column: what is wrong``; the expectation's own name where no wording fits."""
    kind, kwargs = result.expectation["type"], kwargs_of(result.expectation)
    figures = {
        "unexpected": percent((result.details.get("unexpected_percent") or 0) / 100),
        "allowed": percent(1 - _share(kwargs.get("mostly"))),
        "observed": result.details.get("observed_value"),
        "beyond": _beyond(kwargs),
    }
    for wording in (_WORDS.get(kind), _WITHOUT_FIGURES.get(kind)):
        try:
            return f"{result.subject}: {wording.format(**{**kwargs, **figures})}" if wording else _by_name(result)
        except (KeyError, ValueError, TypeError):  # no figure, such as the median of no value
            continue
    return _by_name(result)


def bound(value: object) -> str:
    """One end of a range; nothing where it is open.

    >>> bound(1000000.0)
    '1e+06'
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:g}"
    return "" if value is None else str(value)[:40]


def _beyond(kwargs: Mapping[str, Any]) -> str:
    low, high = bound(kwargs.get("min_value")), bound(kwargs.get("max_value"))
    return f"outside {low} to {high}" if low and high else f"below {low}" if low else f"above {high}"


def _share(mostly: Any) -> float:
    return 1.0 if mostly is None else float(mostly)


def _by_name(result: Result) -> str:
    name = result.expectation["type"].removeprefix("expect_").replace("_", " ")
    return f"{result.subject}: does not meet {name!r}"
