"""All expectations of a suite on all rows, or said which were judged on a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lifecycle.data.dataset import Dataset
from lifecycle.gates.data_quality.great_expectations_run import Unreadable, loaded, readable, validate
from lifecycle.gates.data_quality.result import Finding, Result
from lifecycle.gates.data_quality.suite import Expectation

_OF_HOW_MANY_ROWS = (  # on a sample they would say something else
    "expect_table_row_count",
    "expect_column_sum",
    "expect_column_unique_value_count",
    "expect_column_proportion_of_unique_values",
    "expect_column_values_to_be_unique",
    "expect_compound_columns_to_be_unique",
    "expect_multicolumn_values_to_be_unique",
)


def judge(expectations: Sequence[object], data: Dataset, sample_rows: int, seed: int) -> list[Result]:
    """One result for each expectation, in order.

    Up to ``sample_rows`` rows are given to Great Expectations as they are. Of more, what can be judged a
    column at a time is judged from all of them, and the rest on a sample drawn with ``seed``.
    """
    results: dict[int, Result] = {}
    understood: dict[int, Expectation] = {}
    for number, expectation in enumerate(expectations):
        try:
            understood[number] = readable(expectation)
            loaded(understood[number])
        except Unreadable as exc:
            understood.pop(number, None)
            shown = expectation if isinstance(expectation, dict) else {}
            results[number] = Result(shown, Finding.UNREADABLE, note=str(exc))
    judged = _judge(list(understood.values()), data, sample_rows, seed)
    results |= dict(zip(understood, judged, strict=True))
    return [results[number] for number in range(len(expectations))]


def _judge(expectations: Sequence[Expectation], data: Dataset, sample_rows: int, seed: int) -> list[Result]:
    if data.count <= sample_rows:
        return validate(expectations, data.sample(sample_rows, seed))
    from lifecycle.gates.data_quality.all_rows import judge_all_rows

    found = judge_all_rows(expectations, data)
    left = [number for number, result in enumerate(found) if result is None]
    judged = _on_sample([expectations[number] for number in left], data, sample_rows, seed)
    sampled = dict(zip(left, judged, strict=True))
    return [result or sampled[number] for number, result in enumerate(found)]


def _on_sample(expectations: Sequence[Expectation], data: Dataset, sample_rows: int, seed: int) -> list[Result]:
    if not expectations:
        return []
    fit = [not each["type"].startswith(_OF_HOW_MANY_ROWS) for each in expectations]
    chosen = [each for each, fits in zip(expectations, fit, strict=True) if fits]
    judged = iter(validate(chosen, data.sample(sample_rows, seed)) if chosen else [])
    return [
        replace(next(judged), sampled=True) if fits else Result(each, Finding.UNJUDGED)
        for each, fits in zip(expectations, fit, strict=True)
    ]
