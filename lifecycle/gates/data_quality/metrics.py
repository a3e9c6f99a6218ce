"""What Great Expectations decides on: metrics, here of all rows without a look at the values that a column holds.

Names, arguments and meaning are Great Expectations' own (``expectations/metrics`` of its source): each figure is
the one that its pandas engine gives on the same rows, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.metrics_calculator import MetricsCalculator
from numpy.typing import NDArray

OF_DISTINCT_VALUES = {
    "column.min",
    "column.max",
    "column.distinct_values.not_in_set",
    "column.distinct_values.not_in_set.count",
    "column.distinct_values.missing_from_column",
    "column.distinct_values.missing_from_column.count",
}
"""Metrics for which it is all the same how often a value occurs."""
_OF_SCHEMA = {"table.columns", "table.column_count", "table.column_types"}

Arguments = Mapping[str, Any]
Metric = Callable[[Arguments], Any]


class NotExact(Exception):
    """A metric that is not known here, or too costly to have from all rows."""


class MetricBroke(Exception):
    """Great Expectations' own metric raised."""


class TableMetrics:
    """What is known of rows by their number and the names of their columns."""

    def __init__(self, schema: pd.DataFrame, count: int) -> None:
        """Take a frame of no rows with the names and types of all columns, and how many rows there are."""
        self.engine = PandasExecutionEngine(batch_data_dict={"schema": schema})
        self.count = count

    def known(self) -> dict[str, Metric]:
        """How to calculate a metric from its arguments, by name."""
        return {"table.row_count": lambda _: self.count}

    def value(self, metric: MetricConfiguration) -> Any:
        """The metric's value.

        Raises:
            NotExact: it has to be judged on a sample.
            MetricBroke: it cannot be had from these rows.
        """
        known = self.known()
        if metric.metric_name in known:
            return known[metric.metric_name](metric.metric_value_kwargs)
        if metric.metric_name in _OF_SCHEMA:
            return resolved(metric, self.engine)
        if metric.metric_name.endswith(".unexpected_values"):
            return []  # as many as the result's format asks for
        return self._of_distinct(metric)

    def _of_distinct(self, metric: MetricConfiguration) -> Any:
        raise NotExact(metric.metric_name)


class ColumnMetrics(TableMetrics):
    """What is known of a column whatever it holds: its nulls."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any], judged: pd.Series[Any]) -> None:
        """Take the schema of all columns, the column, and rows of it as Great Expectations is given them."""
        super().__init__(schema.assign(**{str(column.name): judged.head(0)}), len(column))
        self.nulls = int(column.isna().sum())
        self.held = self.count - self.nulls

    def known(self) -> dict[str, Metric]:
        """See there."""
        distinct = {
            "column_values.unique.unexpected_count": lambda _: 0,
            "column.distinct_values.count": lambda _: 0,
            "column.unique_proportion": lambda _: 0,
        }
        return {
            **super().known(),
            **({} if self.held else distinct),
            "column_values.nonnull.unexpected_count": lambda _: self.nulls,
            "column_values.null.unexpected_count": lambda _: self.held,
            "column.non_null_proportion": lambda _: self.held / self.count,
        }


def distinct_count(ordered: NDArray[Any]) -> int:
    """How many different ones there are among sorted values.

    >>> distinct_count(np.array([1, 2, 2, 2, 3, 3]))
    3
    """
    return len(ordered) and 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def repeated_count(ordered: NDArray[Any]) -> int:
    """How many of the sorted values are there more than once.

    >>> repeated_count(np.array([1, 2, 2, 2, 3, 3]))
    5
    """
    like_next = ordered[1:] == ordered[:-1]
    return int(np.count_nonzero(np.r_[False, like_next] | np.r_[like_next, False]))


def engine_of(values: pd.Series[Any]) -> PandasExecutionEngine:
    """Great Expectations' engine on one column of few rows."""
    return PandasExecutionEngine(batch_data_dict={"values": values.to_frame()})


def resolved(metric: MetricConfiguration, engine: PandasExecutionEngine) -> Any:
    """Great Expectations' own value of a metric.

    Raises:
        MetricBroke: it raised.
    """
    calculator = MetricsCalculator(engine)
    graph = calculator.build_metric_dependency_graph([metric])
    found, aborted = calculator.resolve_validation_graph(graph)
    if aborted:
        raise MetricBroke(metric.metric_name)
    return found[metric.id]
