"""The only caller of Great Expectations: a suite and rows in, findings without any row value out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuite
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from lifecycle.gates.kinds import plain
from lifecycle.gates.verdicts import percent

_log = logging.getLogger(__name__)

# No values: the partial lists of unexpected ones would carry rows into logs and reports.
_RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}

_WORDS = {  # with figures about a column as a whole, never a row
    "expect_column_to_exist": "is missing",
    "expect_column_values_to_not_be_null": "{unexpected} null ({allowed} may be)",
    "expect_column_values_to_be_between": "{unexpected} outside {min_value:g} to {max_value:g} ({allowed} may be)",
    "expect_column_values_to_be_in_set": "{unexpected} in no known category ({allowed} may be)",
    "expect_column_values_to_be_in_type_list": "has another type",
    "expect_column_median_to_be_between": "median {observed:g} is outside {min_value:g} to {max_value:g}",
    "expect_column_mean_to_be_between": "mean {observed:g} is outside {min_value:g} to {max_value:g}",
    "expect_column_stdev_to_be_between": "spread {observed:g} is outside {min_value:g} to {max_value:g}",
    "expect_column_values_to_be_unique": "{unexpected} more than once",
}


class BadSuite(Exception):
    """An expectation that this Great Expectations doesn't know. The text is its type and the kind of error."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one expectation says.

    Attributes:
        subject: The column that it is about, or ``table``.
        unmet, broke, vacuous: Whether it is not met, raised, or had no value to judge.
        words: What is wrong, for people.
    """

    subject: str
    unmet: bool
    broke: bool
    vacuous: bool
    words: str


def validate(suite: dict[str, Any], rows: pd.DataFrame) -> list[Finding]:
    """Validate rows in memory: an ephemeral context, no progress bars, no files, no analytics.

    Raises:
        BadSuite: an unknown expectation, or arguments that it does not take.
    """
    # One by one: given all at once, ExpectationSuite drops those that it doesn't know and passes without them.
    expectations = ExpectationSuite("logged", [_expectation(fields) for fields in suite["expectations"]])
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": plain(rows)})
    validated = batch.validate(expectations, result_format=_RESULT_FORMAT)
    return [_finding(result.to_json_dict()) for result in validated.results]


def _expectation(fields: dict[str, Any]) -> Any:
    try:
        return ExpectationConfiguration(**fields).to_domain_obj()
    except Exception as exc:  # its own, pydantic's and Python's errors alike
        _log.debug("unreadable expectation", exc_info=True)
        raise BadSuite(f"{fields.get('type')!r} ({type(exc).__name__})") from exc


def _finding(result: dict[str, Any]) -> Finding:
    config, details = result["expectation_config"], result["result"]
    raised = _raised(result["exception_info"])
    subject = str(config["kwargs"].get("column", "table"))
    nothing = "element_count" in details and details["element_count"] == details.get("missing_count", 0)
    return Finding(
        subject=subject,
        unmet=not result["success"] and not raised,
        broke=raised,
        vacuous=bool(result["success"] and not raised and nothing),
        words=f"{subject}: {_words(config, details)}",
    )


def _raised(info: dict[str, Any]) -> bool:
    """``exception_info`` is one record, or one for each metric that raised."""
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(part.get("raised_exception") for part in info.values())


def _words(config: dict[str, Any], details: dict[str, Any]) -> str:
    """What is wrong, with figures and without values; the expectation's own name where no wording fits."""
    kwargs, name = config["kwargs"], config["type"].removeprefix("expect_").replace("_", " ")
    figures = {
        "unexpected": percent((details.get("unexpected_percent") or 0) / 100),
        "allowed": percent(1 - kwargs.get("mostly", 1)),
        "observed": details.get("observed_value"),
    }
    try:
        return _WORDS[config["type"]].format(**kwargs | figures)
    except (KeyError, ValueError, TypeError):  # another expectation, or a one-sided bound
        return f"does not meet {name!r}"
