"""The only module that imports Great Expectations."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.core import ExpectationSuite
from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
)
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.metrics_calculator import MetricsCalculator
from numpy.typing import NDArray

from lifecycle.domain.text import printable
from lifecycle.gates.column_types import as_judged
from lifecycle.gates.data_quality.suite import (
    HOW_TO_RUN,
    Expectation,
    ExpectationResult,
    ExpectationStatus,
    columns_of,
)

_log = logging.getLogger(__name__)
Engine: TypeAlias = PandasExecutionEngine
MetricRequest: TypeAlias = MetricConfiguration
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
"""Without values: lists of unexpected values would bring rows into logs and reports."""
_ABOUT_NULLS = {  # and about columns themselves: the only ones that an empty column can meet
    "expect_column_to_exist",
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
}
_DECIDES_NOTHING = {
    "id",
    "meta",
    "notes",
    "description",
    "success_on_last_run",
    "expectation_context",
    "rendered_content",
}
_REF_ELSEWHERE = re.compile(r'"\$ref": "(?!#)')
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class MetricBroke(Exception):
    """A metric of Great Expectations raised an exception."""


class Unreadable(Exception):
    """Great Expectations does not accept this expectation. The message says why."""


def readable(expectation: object) -> Expectation:
    """The expectation's type, arguments and severity, without what a run left beside them.

    A suite is untrusted data: expectations that would run code or fetch files are not taken.

    Raises:
        Unreadable: no type, or arguments that are missing or refused.
    """
    if not isinstance(expectation, Mapping) or not isinstance(expectation.get("kwargs"), Mapping):
        raise Unreadable("one without 'type' and 'kwargs'")
    kwargs = {key: _bound(key, value) for key, value in expectation["kwargs"].items() if key not in HOW_TO_RUN}
    text = json.dumps(kwargs, default=str)
    if kwargs.get("row_condition") is not None:
        raise _unreadable(expectation, "row_condition runs as code; give the rows by a query instead")
    if '"$PARAMETER"' in text:
        raise _unreadable(expectation, "a parameter without a value")
    if _REF_ELSEWHERE.search(text):
        raise _unreadable(expectation, "a schema that is elsewhere")
    return {k: v for k, v in expectation.items() if k not in _DECIDES_NOTHING} | {"kwargs": kwargs}


def loaded(expectation: Expectation, number: int = 0) -> Any:
    """Great Expectations' own object for it, with ``number`` in its meta.

    Raises:
        Unreadable: the type is unknown, or it does not accept the arguments.
    """
    try:
        with quiet():
            return ExpectationConfiguration(**expectation, meta={"number": number}).to_domain_obj()
    except Exception as exc:  # its own, pydantic's and Python's errors alike
        _log.debug("unreadable expectation", exc_info=True)
        raise _unreadable(expectation, type(exc).__name__) from exc


def _unreadable(expectation: Expectation, why: str) -> Unreadable:
    return Unreadable(f"{printable(repr(expectation.get('type')), limit=80)} ({why})")


def validate(expectations: Sequence[Expectation], rows: pd.DataFrame) -> list[ExpectationResult]:
    """Validate rows in memory: ephemeral context, no progress bars, files or analytics. One result each.

    Args:
        expectations: Expectations that :func:`loaded` accepts.
    """
    rows = as_judged(rows)
    empty = {name for name in rows.columns if rows[name].isna().all()}
    objects = [loaded(expectation, number) for number, expectation in enumerate(expectations)]
    with quiet():
        batch = _batch(rows)
        try:
            found = batch.validate(ExpectationSuite("suite", objects), result_format=RESULT_FORMAT).results
        except Exception:  # an expectation that breaks all others
            _log.debug("the suite as a whole broke", exc_info=True)
            found = []
            for each in objects:
                try:
                    found.append(batch.validate(each, result_format=RESULT_FORMAT))
                except Exception:
                    _log.debug("an expectation broke", exc_info=True)
    # results come in another order than the expectations
    by_number = {int(each.expectation_config.meta["number"]): each for each in found}
    return [
        result_of(expectation, by_number.get(number), empty) for number, expectation in enumerate(expectations)
    ]


def result_of(expectation: Expectation, validated: Any | None, empty: Collection[str]) -> ExpectationResult:
    """Our result from Great Expectations' own; None is one that broke.

    Args:
        empty: Columns without a single value.
    """
    try:
        fields = validated and validated.to_json_dict()
    except Exception:  # a figure without a JSON form, such as a complex number
        _log.debug("a result broke", exc_info=True)
        fields = None
    info: Mapping[str, Any] = fields["exception_info"] if fields else {"raised_exception": True}
    parts: Sequence[Any] = (
        [info] if "raised_exception" in info else list(info.values())
    )  # one record, or one per metric
    if fields is None or any(part.get("raised_exception") for part in parts):
        return ExpectationResult(expectation, ExpectationStatus.BROKE)
    details = fields["result"]
    if not fields["success"]:
        return ExpectationResult(expectation, ExpectationStatus.UNMET, details)
    nothing = "element_count" in details and details["element_count"] == details.get("missing_count", 0)
    without = set(empty) & set(columns_of(expectation)) and expectation["type"] not in _ABOUT_NULLS
    return ExpectationResult(
        expectation, ExpectationStatus.VACUOUS if nothing or without else ExpectationStatus.MET, details
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Great Expectations' logs and warnings, which quote row values."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _bound(key: str, value: Any) -> Any:
    """A day as its midnight: Great Expectations reads it as a date, which does not compare with datetimes."""
    is_day = key in ("min_value", "max_value") and isinstance(value, str) and _DAY.fullmatch(value)
    return f"{value}T00:00:00" if is_day else value


def _batch(rows: pd.DataFrame) -> Any:
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})


def engine_of(rows: pd.DataFrame) -> Engine:
    """Great Expectations' engine on a few rows."""
    return Engine(batch_data_dict={"rows": rows})


def resolved(metric: MetricRequest, engine: Engine) -> Any:
    """A metric's value, computed by Great Expectations.

    Raises:
        MetricBroke: the metric raised an exception.
    """
    calculator = MetricsCalculator(engine)
    graph = calculator.build_metric_dependency_graph([metric])
    found, aborted = calculator.resolve_validation_graph(graph)
    if aborted:
        raise MetricBroke(metric.metric_name)
    return found[metric.id]


def unexpected_values(metric: MetricRequest, name: str, engine: Engine) -> NDArray[np.bool_]:
    """For each non-null value of the engine, whether the condition ``name`` finds it unexpected."""
    condition = MetricRequest(
        f"column_values.{name}.condition", metric.metric_domain_kwargs, metric.metric_value_kwargs
    )
    return np.asarray(resolved(condition, engine)[0], dtype=bool)


def render_report(shown: Sequence[Mapping[str, Any]]) -> str:
    """Great Expectations' report as an HTML page, which loads scripts and styles from other hosts.

    Args:
        shown: ``type``, ``kwargs``, ``success``, ``result`` and, where it broke, ``problem`` of each expectation.
    """
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    met = sum(each["success"] for each in shown)
    validated = ExpectationSuiteValidationResult(
        success=met == len(shown),
        results=[_validated(each) for each in shown],
        suite_name="data_quality",
        statistics={
            "evaluated_expectations": len(shown),
            "successful_expectations": met,
            "unsuccessful_expectations": len(shown) - met,
            "success_percent": 100 * met / len(shown) if shown else None,
        },
        meta={"great_expectations_version": gx.__version__},
    )
    with quiet():
        document = ValidationResultsPageRenderer(run_info_at_end=True).render(validated)
        html: str = DefaultJinjaPageView().render(document, "page_minimal.j2")
    return html


def _validated(shown: Mapping[str, Any]) -> ExpectationValidationResult:
    problem = shown.get("problem")
    return ExpectationValidationResult(
        success=shown["success"],
        expectation_config=ExpectationConfiguration(type=shown["type"], kwargs=shown["kwargs"]),
        result=shown["result"],
        meta={},
        exception_info={
            "raised_exception": problem is not None,
            "exception_message": problem,
            "exception_traceback": None if problem is None else "",
        },
    )
