"""Metrics of one column of text or true/false, counted from all rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.validator.metric_configuration import MetricConfiguration
from numpy.typing import NDArray

from lifecycle.gates.data_quality.metrics import (
    OF_DISTINCT_VALUES,
    ColumnMetrics,
    Metric,
    NotExact,
    distinct_count,
    engine_of,
    repeated_count,
    resolved,
)
from lifecycle.gates.data_quality.number_metrics import aggregates
from lifecycle.gates.data_quality.rows import column_as_judged

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
_PART = 500_000  # rows whose texts are Python objects at a time


class CategoryMetrics(ColumnMetrics):
    """Categories and true/false. Great Expectations judges each distinct value once."""

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        counts = column.value_counts(sort=False)
        counts = counts[counts > 0]  # of the categories of pandas, some may be in no row
        self._distinct = list(counts.index)
        self._counts: NDArray[np.int64] = counts.to_numpy(dtype=np.int64)
        self._column = column
        self._has_nulls = int(self._counts.sum()) < len(column)
        super().__init__(schema, column, self._judged(self._distinct[:1]))

    def known(self) -> dict[str, Metric]:
        """See there."""
        known: dict[str, Metric] = {
            **super().known(),
            "column.distinct_values.count": lambda _: len(self._distinct),
            "column.unique_proportion": lambda _: len(self._distinct) / self.held,
            "column_values.unique.unexpected_count": lambda _: int(self._counts[self._counts > 1].sum()),
        }
        if isinstance(self._distinct[0], bool | np.bool_) and not self._has_nulls:
            known |= aggregates(self._column.astype(bool))
        return known

    def _of_distinct(self, metric: MetricConfiguration) -> Any:
        if metric.metric_name in OF_DISTINCT_VALUES:
            return resolved(metric, self._engine)
        return int(self._counts[_unexpected(metric, self._engine, _OF_EACH_VALUE)].sum())

    @cached_property
    def _engine(self) -> PandasExecutionEngine:
        return engine_of(self._judged(self._distinct))

    def _judged(self, values: list[Any]) -> pd.Series[Any]:
        """With a null at the end where the column has any: it decides on the type."""
        values = [*values, None] if self._has_nulls else values
        return column_as_judged(pd.Series(values, dtype=object, name=self._column.name))


class NameMetrics(ColumnMetrics):
    """Text that hardly ever comes twice: names, identifiers, free text. Only told apart, by hashes of 64 bits.

    To count ten million different texts takes 1.5 GiB; their hashes take 80 MB, and that two of them are alike by
    accident has a chance of one in 300,000.
    """

    def __init__(self, schema: pd.DataFrame, column: pd.Series[Any]) -> None:
        """Take the schema of all columns, and the column."""
        self._column = column
        self._one = column_as_judged(pd.Series(list(column.dropna().head(1)), dtype=object, name=column.name))
        super().__init__(schema, column, self._one)

    def known(self) -> dict[str, Metric]:
        """See there."""
        return {
            **super().known(),
            "column.distinct_values.count": lambda _: distinct_count(self._hashes),
            "column.unique_proportion": lambda _: distinct_count(self._hashes) / self.held,
            "column_values.unique.unexpected_count": lambda _: repeated_count(self._hashes),
        }

    def _of_distinct(self, metric: MetricConfiguration) -> Any:
        return self.held if _unexpected(metric, engine_of(self._one), _OF_KIND).all() else 0

    @cached_property
    def _hashes(self) -> NDArray[np.uint64]:
        """Sorted, without those of nulls."""
        parts = (self._column.iloc[i : i + _PART].dropna() for i in range(0, self.count, _PART))
        hashes = np.concatenate([pd.util.hash_array(p.to_numpy(dtype=object), categorize=False) for p in parts])
        hashes.sort()
        return hashes


def text_metrics(schema: pd.DataFrame, column: pd.Series[Any]) -> ColumnMetrics:
    """By how many different ones there are in rows from all over the column."""
    some = column.iloc[:: max(1, len(column) // _PEEK)]
    return (NameMetrics if some.nunique() > _PEEK / 2 else CategoryMetrics)(schema, column)


def _unexpected(metric: MetricConfiguration, engine: PandasExecutionEngine, exact: set[str]) -> NDArray[np.bool_]:
    """For each value that the engine has and that is not null, whether it is unexpected."""
    name = metric.metric_name.removeprefix("column_values.").removesuffix(".unexpected_count")
    if name == metric.metric_name or name not in exact:
        raise NotExact(metric.metric_name)
    condition = MetricConfiguration(
        f"column_values.{name}.condition", metric.metric_domain_kwargs, metric.metric_value_kwargs
    )
    return np.asarray(resolved(condition, engine)[0], dtype=bool)
