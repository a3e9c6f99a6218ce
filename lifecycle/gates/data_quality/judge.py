"""Chooses the rows for each expectation: all rows, one column at a time, or a sample."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from lifecycle.data.dataset import Dataset
from lifecycle.errors import LifecycleError
from lifecycle.gates.column_types import ColumnType, column_type
from lifecycle.gates.data_quality.column_metrics import (
    CategoryMetrics,
    ColumnMetrics,
    NeedsSample,
    NumberMetrics,
    TableMetrics,
    text_metrics,
)
from lifecycle.gates.data_quality.gx import (
    RESULT_FORMAT,
    MetricBroke,
    Unreadable,
    loaded,
    quiet,
    readable,
    result_of,
    validate,
)
from lifecycle.gates.data_quality.suite import Expectation, ExpectationResult, ExpectationStatus, columns_of

_OF_HOW_MANY_ROWS = (  # on a sample they would mean something else
    "expect_table_row_count",
    "expect_column_sum",
    "expect_column_unique_value_count",
    "expect_column_proportion_of_unique_values",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_multicolumn_values_to_be_unique",
)


def judge(expectations: Sequence[object], data: Dataset, sample_rows: int, seed: int) -> list[ExpectationResult]:
    """Judge all expectations; one result each, in order.

    Up to ``sample_rows`` rows are given to Great Expectations as they are. Of more, what can be judged a
    column at a time is judged on all rows, and the rest on a sample drawn with ``seed``.
    """
    results: dict[int, ExpectationResult] = {}
    understood: dict[int, Expectation] = {}
    for number, expectation in enumerate(expectations):
        try:
            understood[number] = readable(expectation)
            loaded(understood[number])
        except Unreadable as exc:
            understood.pop(number, None)
            shown = expectation if isinstance(expectation, dict) else {}
            results[number] = ExpectationResult(shown, ExpectationStatus.UNREADABLE, note=str(exc))
    judged = _judge_all(list(understood.values()), data, sample_rows, seed)
    results |= dict(zip(understood, judged, strict=True))
    return [results[number] for number in range(len(expectations))]


def _judge_all(
    expectations: Sequence[Expectation], data: Dataset, sample_rows: int, seed: int
) -> list[ExpectationResult]:
    if data.count <= sample_rows:
        return validate(expectations, data.sample(sample_rows, seed))

    found = judge_all_rows(expectations, data)
    left = [number for number, result in enumerate(found) if result is None]
    judged = _on_sample([expectations[number] for number in left], data, sample_rows, seed)
    sampled = dict(zip(left, judged, strict=True))
    return [result or sampled[number] for number, result in enumerate(found)]


def _on_sample(
    expectations: Sequence[Expectation], data: Dataset, sample_rows: int, seed: int
) -> list[ExpectationResult]:
    if not expectations:
        return []
    fit = [not each["type"].startswith(_OF_HOW_MANY_ROWS) for each in expectations]
    chosen = [each for each, fits in zip(expectations, fit, strict=True) if fits]
    judged = iter(validate(chosen, data.sample(sample_rows, seed)) if chosen else [])
    return [
        replace(next(judged), sampled=True) if fits else ExpectationResult(each, ExpectationStatus.UNJUDGED)
        for each, fits in zip(expectations, fit, strict=True)
    ]


_log = logging.getLogger(__name__)


def judge_all_rows(expectations: Sequence[Expectation], data: Dataset) -> list[ExpectationResult | None]:
    """One result each; None if an expectation cannot be judged one column at a time.

    Great Expectations decides, on metrics that are calculated here. A column is read once for all of its
    expectations, and released before the next one.

    Raises:
        LifecycleError: the rows can no longer be read.
    """
    schema = pd.DataFrame({name: pd.Series(dtype=object) for name in data.columns})
    results: list[ExpectationResult | None] = [None] * len(expectations)
    with quiet():
        for column, numbers in _by_column(expectations).items():
            found = _of_column(column, [expectations[n] for n in numbers], schema, data)
            for number, result in zip(numbers, found, strict=True):
                results[number] = result
    return results


def _by_column(expectations: Sequence[Expectation]) -> Mapping[str | None, list[int]]:
    """Indices of the expectations by their one column; None for those on several columns or on the table."""
    numbers: dict[str | None, list[int]] = {}
    for number, expectation in enumerate(expectations):
        columns = columns_of(expectation)
        alone = len(columns) == 1 and expectation["type"] != "expect_column_to_exist"
        numbers.setdefault(columns[0] if alone else None, []).append(number)
    return numbers


def _of_column(
    column: str | None, expectations: Sequence[Expectation], schema: pd.DataFrame, data: Dataset
) -> Sequence[ExpectationResult | None]:
    try:
        if column is None:
            return [_judge(each, TableMetrics(schema, data.count), empty=()) for each in expectations]
        metrics = _metrics_of(schema, data.column(column))
        empty = (column,) if metrics.nulls == metrics.count else ()
        return [_judge(each, metrics, empty) for each in expectations]
    except LifecycleError:
        raise
    except Exception:  # one column must not break the others
        _log.debug("column %r broke", column, exc_info=True)
        return [ExpectationResult(each, ExpectationStatus.BROKE) for each in expectations]


def _metrics_of(schema: pd.DataFrame, column: pd.Series[Any]) -> ColumnMetrics:
    match column_type(column):
        case ColumnType.NUMBER | ColumnType.DATETIME | ColumnType.ZONED_DATETIME:
            return NumberMetrics(schema, column)
        case ColumnType.TEXT:
            return text_metrics(schema, column)
        case ColumnType.BOOLEAN:
            return CategoryMetrics(schema, column)
        case _:
            return ColumnMetrics(schema, column, column)


def _judge(expectation: Expectation, metrics: TableMetrics, empty: Sequence[str]) -> ExpectationResult | None:
    judge = loaded(expectation)
    try:
        asked = judge.get_validation_dependencies(metrics.engine, _runtime()).get_metric_configurations()
        known = {metric.id: metrics.value(metric) for metric in asked}
        judged = judge.metrics_validate(known, _runtime(), metrics.engine)
    except NeedsSample:
        return None
    except MetricBroke:
        return ExpectationResult(expectation, ExpectationStatus.BROKE)
    except Exception:
        _log.debug("an expectation broke", exc_info=True)
        return ExpectationResult(expectation, ExpectationStatus.BROKE)
    return result_of(expectation, judged, empty)


def _runtime() -> dict[str, Any]:
    return {"result_format": dict(RESULT_FORMAT)}
