"""Metrics of one column of numbers or datetimes, calculated from all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from dateutil.parser import parse  # type: ignore[import-untyped]
from great_expectations.validator.metric_configuration import MetricConfiguration
from numpy.typing import NDArray

from lifecycle.gates.data_quality.metrics import (
    OF_DISTINCT_VALUES,
    Arguments,
    ColumnMetrics,
    Metric,
    NotExact,
    distinct_count,
    engine_of,
    repeated_count,
    resolved,
)
from lifecycle.gates.data_quality.rows import column_as_judged

_MOST_DISTINCT = 1_000_000


class NumberMetrics(ColumnMetrics):
    """Numbers and datetimes."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        self._values = column_as_judged(column)
        super().__init__(schema, self._values, self._values)

    def known(self) -> dict[str, Metric]:
        """See there."""
        values = self._values
        known: dict[str, Metric] = {
            **super().known(),
            **aggregates(values),
            "column.distinct_values.count": lambda _: distinct_count(self._ordered()),
            "column.unique_proportion": lambda _: distinct_count(self._ordered()) / self.held,
            "column_values.unique.unexpected_count": lambda _: repeated_count(self._ordered()),
            "column_values.between.unexpected_count": lambda given: self._unexpected(_between(values, **given)),
            "column_values.in_set.unexpected_count": self._outside_set,
        }
        if values.dtype.kind in "fi":  # Great Expectations reads the texts of a set of datetimes in its own way
            known["column_values.not_in_set.unexpected_count"] = self._inside_set
        return known

    def _of_distinct(self, metric: MetricConfiguration) -> Any:
        if metric.metric_name not in OF_DISTINCT_VALUES:
            raise NotExact(metric.metric_name)
        distinct = pd.Series(self._given.unique(), name=self._values.name)
        if len(distinct) > _MOST_DISTINCT:
            raise NotExact("too many distinct values")
        return resolved(metric, engine_of(distinct))

    def _outside_set(self, given: Arguments) -> int:
        inside = None if given["value_set"] is None else self._given.isin(given["value_set"])
        return 0 if inside is None else self._unexpected(inside)

    def _inside_set(self, given: Arguments) -> int:
        return 0 if given["value_set"] is None else int(self._given.isin(given["value_set"]).sum())

    def _unexpected(self, met: pd.Series[Any]) -> int:
        """Nulls meet nothing, but are no unexpected values either."""
        return self.held - int(met.sum())

    def _ordered(self) -> NDArray[Any]:
        """Sorted: to hash millions of different numbers takes three times as long, and as much memory."""
        given = self._given
        return np.sort((given if given.dtype.kind in "fi" else given.astype("int64")).to_numpy())

    @property
    def _given(self) -> pd.Series[Any]:
        return self._values.dropna() if self.nulls else self._values


def aggregates(values: pd.Series[Any]) -> dict[str, Metric]:
    """One figure for the whole column."""
    return {
        "column.min": lambda _: values.min(),
        "column.max": lambda _: values.max(),
        "column.mean": lambda _: values.mean(),
        "column.median": lambda _: values.median(),
        "column.sum": lambda _: values.sum(),
        "column.standard_deviation": lambda _: values.std(),
        "column.quantile_values": lambda given: _quantiles(values, **given),
    }


def _between(
    values: pd.Series[Any],
    min_value: Any = None,
    max_value: Any = None,
    strict_min: bool = False,
    strict_max: bool = False,
) -> pd.Series[Any]:
    low, high = (_moment(bound) if values.dtype.kind == "M" else bound for bound in (min_value, max_value))
    if low is None and high is None:
        raise ValueError("no bounds")
    if low is not None and high is not None and low > high:
        raise ValueError("bounds in the wrong order")
    above = None if low is None else (values > low if strict_min else values >= low)
    below = None if high is None else (values < high if strict_max else values <= high)
    return below if above is None else above if below is None else above & below


def _moment(bound: Any) -> Any:
    return parse(bound) if isinstance(bound, str) else bound


def _quantiles(values: pd.Series[Any], quantiles: list[float], allow_relative_error: Any = False) -> list[Any]:
    found: list[Any] = values.quantile(quantiles, interpolation=allow_relative_error or "nearest").tolist()
    return found
