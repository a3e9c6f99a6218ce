"""Great Expectations' metrics of one column, computed from all rows without loading the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from dateutil.parser import parse  # type: ignore[import-untyped]
from numpy.typing import NDArray

from lifecycle.gates.column_types import column_as_judged
from lifecycle.gates.data_quality.gx import Engine, MetricRequest, engine_of, resolved, unexpected_values

OF_DISTINCT_VALUES = {
    "column.min",
    "column.max",
    "column.distinct_values.not_in_set",
    "column.distinct_values.not_in_set.count",
    "column.distinct_values.missing_from_column",
    "column.distinct_values.missing_from_column.count",
}
"""Metrics that do not depend on how often a value occurs."""
_OF_SCHEMA = {"table.columns", "table.column_count", "table.column_types"}
Arguments = Mapping[str, Any]
MetricFunction = Callable[[Arguments], Any]


class NeedsSample(Exception):
    """The metric is unknown here, or too costly to calculate from all rows."""


class TableMetrics:
    """Metrics of a table: its row count and column names."""

    def __init__(self, schema: pd.DataFrame, count: int) -> None:
        """Take a frame of no rows with the names and types of all columns, and how many rows there are."""
        self.engine = engine_of(schema)
        self.count = count

    def known(self) -> dict[str, MetricFunction]:
        """Metric name -> function of its arguments."""
        return {"table.row_count": lambda _: self.count}

    def value(self, metric: MetricRequest) -> Any:
        """The metric's value.

        Raises:
            NeedsSample: it has to be judged on a sample.
            MetricBroke: it cannot be computed from these rows.
        """
        known = self.known()
        if metric.metric_name in known:
            return known[metric.metric_name](metric.metric_value_kwargs)
        if metric.metric_name in _OF_SCHEMA:
            return resolved(metric, self.engine)
        if metric.metric_name.endswith(".unexpected_values"):
            return []  # as many as the result format asks for
        return self._of_distinct(metric)

    def _of_distinct(self, metric: MetricRequest) -> Any:
        raise NeedsSample(metric.metric_name)


class ColumnMetrics(TableMetrics):
    """Metrics of a column of any type: its nulls."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any], judged: pd.Series[Any]) -> None:
        """Take the schema of all columns, the column, and rows of it as Great Expectations is given them."""
        super().__init__(schema.assign(**{str(column.name): judged.head(0)}), len(column))
        self.nulls = int(column.isna().sum())
        self.held = self.count - self.nulls

    def known(self) -> dict[str, MetricFunction]:
        """Functions that compute a metric from its arguments, by name."""
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
    """Number of distinct values; the values are sorted.

    >>> distinct_count(np.array([1, 2, 2, 2, 3, 3]))
    3
    """
    return len(ordered) and 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def repeated_count(ordered: NDArray[Any]) -> int:
    """Number of values that occur more than once; the values are sorted.

    >>> repeated_count(np.array([1, 2, 2, 2, 3, 3]))
    5
    """
    like_next = ordered[1:] == ordered[:-1]
    return int(np.count_nonzero(np.r_[False, like_next] | np.r_[like_next, False]))


_MOST_DISTINCT = 1_000_000


class NumberMetrics(ColumnMetrics):
    """Metrics of numbers and datetimes."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        self._values = column_as_judged(column)
        super().__init__(schema, self._values, self._values)

    def known(self) -> dict[str, MetricFunction]:
        """Functions that compute a metric from its arguments, by name."""
        values = self._values
        known: dict[str, MetricFunction] = {
            **super().known(),
            **aggregates(values),
            "column.distinct_values.count": lambda _: distinct_count(self._ordered()),
            "column.unique_proportion": lambda _: distinct_count(self._ordered()) / self.held,
            "column_values.unique.unexpected_count": lambda _: repeated_count(self._ordered()),
            "column_values.between.unexpected_count": lambda given: self._unexpected(_between(values, **given)),
            "column_values.in_set.unexpected_count": lambda given: self._of_set(given, inside=False),
        }
        if values.dtype.kind in "fi":  # Great Expectations parses the texts of a set of datetimes in its own way
            known["column_values.not_in_set.unexpected_count"] = lambda given: self._of_set(given, inside=True)
        return known

    def _of_set(self, given: Arguments, *, inside: bool) -> int:
        """Number of values inside or outside of a set; 0 without one."""
        if given["value_set"] is None:
            return 0
        count = int(self._given.isin(given["value_set"]).sum())
        return count if inside else self.held - count

    def _of_distinct(self, metric: MetricRequest) -> Any:
        if metric.metric_name not in OF_DISTINCT_VALUES:
            raise NeedsSample(metric.metric_name)
        distinct = pd.Series(self._given.unique(), name=self._values.name)
        if len(distinct) > _MOST_DISTINCT:
            raise NeedsSample("too many distinct values")
        return resolved(metric, engine_of(distinct.to_frame()))

    def _unexpected(self, met: pd.Series[Any]) -> int:
        """Number of unexpected values. Nulls are not counted as unexpected."""
        return self.held - int(met.sum())

    def _ordered(self) -> NDArray[Any]:
        """Sorted values. Hashing millions of different numbers takes three times as long and as much memory."""
        given = self._given
        return np.sort((given if given.dtype.kind in "fi" else given.astype("int64")).to_numpy())

    @property
    def _given(self) -> pd.Series[Any]:
        return self._values.dropna() if self.nulls else self._values


def aggregates(values: pd.Series[Any]) -> dict[str, MetricFunction]:
    """Metrics that are one figure for the whole column, by name."""
    return {
        "column.min": lambda _: values.min(),
        "column.max": lambda _: values.max(),
        "column.mean": lambda _: values.mean(),
        "column.median": lambda _: values.median(),
        "column.sum": lambda _: values.sum(),
        "column.standard_deviation": lambda _: values.std(),
        "column.quantile_values": lambda given: values.quantile(
            given["quantiles"], interpolation=given.get("allow_relative_error") or "nearest"
        ).tolist(),
    }


def _between(
    values: pd.Series[Any],
    min_value: Any = None,
    max_value: Any = None,
    strict_min: bool = False,
    strict_max: bool = False,
) -> pd.Series[Any]:
    moments = values.dtype.kind == "M"
    low, high = (parse(b) if moments and isinstance(b, str) else b for b in (min_value, max_value))
    if low is None and high is None:
        raise ValueError("no bounds")
    if low is not None and high is not None and low > high:
        raise ValueError("bounds in the wrong order")
    above = None if low is None else (values > low if strict_min else values >= low)
    below = None if high is None else (values < high if strict_max else values <= high)
    return below if above is None else above if below is None else above & below


_OF_KIND = {"in_type_list", "of_type"}
_OF_EACH_VALUE = _OF_KIND | {  # whatever the other rows hold
    "between",
    "in_set",
    "not_in_set",
    "value_length.between",
    "value_length.equals",
    "match_regex",
    "match_regex_list",
    "not_match_regex",
    "not_match_regex_list",
    "match_strftime_format",
    "dateutil_parseable",
    "json_parseable",
    "match_json_schema",
}
_PEEK = 100_000
_PART = 500_000  # rows at a time, as their texts are Python objects


class CategoryMetrics(ColumnMetrics):
    """Metrics of categories and true/false. Great Expectations judges each distinct value once."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        counts = column.value_counts(sort=False)
        counts = counts[counts > 0]  # some of pandas' categories may be in no row
        self._distinct = list(counts.index)
        self._counts: NDArray[np.int64] = counts.to_numpy(dtype=np.int64)
        self._column = column
        self._has_nulls = int(self._counts.sum()) < len(column)
        super().__init__(schema, column, self._judged(self._distinct[:1]))

    def known(self) -> dict[str, MetricFunction]:
        """Functions that compute a metric from its arguments, by name."""
        known: dict[str, MetricFunction] = {
            **super().known(),
            "column.distinct_values.count": lambda _: len(self._distinct),
            "column.unique_proportion": lambda _: len(self._distinct) / self.held,
            "column_values.unique.unexpected_count": lambda _: int(self._counts[self._counts > 1].sum()),
        }
        if isinstance(self._distinct[0], bool | np.bool_) and not self._has_nulls:
            known |= aggregates(self._column.astype(bool))
        return known

    def _of_distinct(self, metric: MetricRequest) -> Any:
        if metric.metric_name in OF_DISTINCT_VALUES:
            return resolved(metric, self._engine)
        return int(self._counts[_unexpected(metric, self._engine, _OF_EACH_VALUE)].sum())

    @cached_property
    def _engine(self) -> Engine:
        return engine_of(self._judged(self._distinct).to_frame())

    def _judged(self, values: list[Any]) -> pd.Series[Any]:
        """With a null at the end where the column has any, because nulls decide its type."""
        values = [*values, None] if self._has_nulls else values
        return column_as_judged(pd.Series(values, dtype=object, name=self._column.name))


class IdentifierMetrics(ColumnMetrics):
    """Metrics of text that rarely repeats: names, identifiers, free text. Counted by hashes of 64 bits.

    Counting ten million different texts takes 1.5 GiB; their hashes take 80 MB, and two of them collide with a
    probability of one in 300,000.
    """

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        self._column = column
        self._one = column_as_judged(pd.Series(list(column.dropna().head(1)), dtype=object, name=column.name))
        super().__init__(schema, column, self._one)

    def known(self) -> dict[str, MetricFunction]:
        """Functions that compute a metric from its arguments, by name."""
        return {
            **super().known(),
            "column.distinct_values.count": lambda _: distinct_count(self._hashes),
            "column.unique_proportion": lambda _: distinct_count(self._hashes) / self.held,
            "column_values.unique.unexpected_count": lambda _: repeated_count(self._hashes),
        }

    def _of_distinct(self, metric: MetricRequest) -> Any:
        return self.held if _unexpected(metric, engine_of(self._one.to_frame()), _OF_KIND).all() else 0

    @cached_property
    def _hashes(self) -> NDArray[np.uint64]:
        """Sorted hashes of the values that are not null."""
        parts = (self._column.iloc[i : i + _PART].dropna() for i in range(0, self.count, _PART))
        hashes = np.concatenate([pd.util.hash_array(p.to_numpy(dtype=object), categorize=False) for p in parts])
        hashes.sort()
        return hashes


def text_metrics(schema: pd.DataFrame, column: pd.Series[Any]) -> ColumnMetrics:
    """The metrics of a text column, chosen by its number of distinct values in a sample of the rows."""
    some = column.iloc[:: max(1, len(column) // _PEEK)]
    return (IdentifierMetrics if some.nunique() > _PEEK / 2 else CategoryMetrics)(schema, column)


def _unexpected(metric: MetricRequest, engine: Engine, exact: set[str]) -> NDArray[np.bool_]:
    """For each non-null value of the engine, whether it is unexpected."""
    name = metric.metric_name.removeprefix("column_values.").removesuffix(".unexpected_count")
    if name == metric.metric_name or name not in exact:
        raise NeedsSample(metric.metric_name)
    return unexpected_values(metric, name, engine)
