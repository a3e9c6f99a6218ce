"""Expectations judged from all rows of data that is too large to be held: a column at a time."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lifecycle.data.dataset import Dataset
from lifecycle.errors import LifecycleError
from lifecycle.gates.data_quality.category_metrics import CategoryMetrics, text_metrics
from lifecycle.gates.data_quality.great_expectations_run import RESULT_FORMAT, loaded, quiet, result_of
from lifecycle.gates.data_quality.metrics import ColumnMetrics, MetricBroke, NotExact, TableMetrics
from lifecycle.gates.data_quality.number_metrics import NumberMetrics
from lifecycle.gates.data_quality.result import Finding, Result
from lifecycle.gates.data_quality.suite import Expectation, columns_of
from lifecycle.gates.kinds import Kind, kind_of

_log = logging.getLogger(__name__)


def judge_all_rows(expectations: Sequence[Expectation], data: Dataset) -> list[Result | None]:
    """One result for each; None where the expectation cannot be judged a column at a time.

    Great Expectations decides, on metrics that are calculated here. A column is read once for all of its
    expectations, and let go before the next one.

    Raises:
        LifecycleError: the rows can no longer be read.
    """
    schema = pd.DataFrame({name: pd.Series(dtype=object) for name in data.columns})
    results: list[Result | None] = [None] * len(expectations)
    with quiet():
        for column, numbers in _by_column(expectations).items():
            found = _of_column(column, [expectations[n] for n in numbers], schema, data)
            for number, result in zip(numbers, found, strict=True):
                results[number] = result
    return results


def _by_column(expectations: Sequence[Expectation]) -> Mapping[str | None, list[int]]:
    """Numbers of the expectations by the one column whose values they are about."""
    numbers: dict[str | None, list[int]] = {}
    for number, expectation in enumerate(expectations):
        columns = columns_of(expectation)
        alone = len(columns) == 1 and expectation["type"] != "expect_column_to_exist"
        numbers.setdefault(columns[0] if alone else None, []).append(number)
    return numbers


def _of_column(
    column: str | None, expectations: Sequence[Expectation], schema: pd.DataFrame, data: Dataset
) -> Sequence[Result | None]:
    try:
        if column is None:
            return [_judge(each, TableMetrics(schema, data.count), empty=()) for each in expectations]
        metrics = _metrics_of(schema, data.column(column))
        empty = (column,) if metrics.nulls == metrics.count else ()
        return [_judge(each, metrics, empty) for each in expectations]
    except LifecycleError:
        raise
    except Exception:  # one column must not take the others down
        _log.debug("column %r broke", column, exc_info=True)
        return [Result(each, Finding.BROKE) for each in expectations]


def _metrics_of(schema: pd.DataFrame, column: pd.Series[Any]) -> ColumnMetrics:
    match kind_of(column):
        case Kind.NUMBER | Kind.DATETIME | Kind.ZONED_DATETIME:
            return NumberMetrics(schema, column)
        case Kind.TEXT:
            return text_metrics(schema, column)
        case Kind.BOOLEAN:
            return CategoryMetrics(schema, column)
        case _:
            return ColumnMetrics(schema, column, column)


def _judge(expectation: Expectation, metrics: TableMetrics, empty: Sequence[str]) -> Result | None:
    judge = loaded(expectation)
    try:
        asked = judge.get_validation_dependencies(metrics.engine, _runtime()).get_metric_configurations()
        known = {metric.id: metrics.value(metric) for metric in asked}
        judged = judge.metrics_validate(known, _runtime(), metrics.engine)
    except NotExact:
        return None
    except MetricBroke:
        return Result(expectation, Finding.BROKE)
    except Exception:
        _log.debug("an expectation broke", exc_info=True)
        return Result(expectation, Finding.BROKE)
    return result_of(expectation, judged, empty)


def _runtime() -> dict[str, Any]:
    return {"result_format": dict(RESULT_FORMAT)}
