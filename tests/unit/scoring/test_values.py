"""What fits a column, and what is refused rather than bent."""

from __future__ import annotations

import numpy as np
import pytest

from lifecycle.scoring.signature import Column, InvalidInput
from lifecycle.scoring.values import coerce, missing


def array(values):
    """As JSON decoding hands them over: inferred where they are alike, objects where they are not."""
    inferred = np.array(values) if values else np.empty(0)
    return inferred if inferred.ndim == 1 and None not in values else np.array(values, dtype=object)


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("double", [1, 2], [1.0, 2.0]),
        ("double", [1.5, None], [1.5, np.nan]),
        ("float", [0.5], [0.5]),
        ("long", [1, 2**53 + 1], [1, 2**53 + 1]),
        ("long", [1.0, 2.0], [1, 2]),
        ("integer", [2**31 - 1], [2**31 - 1]),
        ("boolean", [True, False], [True, False]),
        ("datetime", ["2013-01-01T10:00:00"], [np.datetime64("2013-01-01T10:00:00", "ns")]),
    ],
)
def test_values_that_fit_arrive_unchanged_and_in_the_columns_type(kind, values, expected):
    column = Column("x", kind)
    got = coerce(column, array(values))
    assert got.dtype == column.dtype
    np.testing.assert_array_equal(got, np.array(expected, dtype=column.dtype))


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_missing_text_is_none_however_it_was_spelled(nothing):
    assert coerce(Column("x", "string"), np.array(["a", nothing], dtype=object)).tolist() == ["a", None]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("double", ["1.5"]),
        ("double", [True]),
        ("double", [1.0, "secret-value"]),
        ("long", [1.5]),
        ("long", [1, None]),
        ("long", [float("nan")]),
        ("long", [2.0**63]),
        ("long", [2**63]),
        ("integer", [2**31]),
        ("long", ["1"]),
        ("long", [True]),
        ("boolean", [1]),
        ("boolean", [True, None]),
        ("string", [1]),
        ("string", ["a", 1]),
        ("datetime", ["yesterday"]),
        ("datetime", [5]),
    ],
)
def test_what_would_lose_something_is_refused_and_the_column_named(kind, values):
    with pytest.raises(InvalidInput, match="'x'") as refused:
        coerce(Column("x", kind), np.array(values, dtype=object) if kind == "string" else array(values))
    assert "secret-value" not in str(refused.value)


def test_the_first_row_that_does_not_fit_is_named():
    with pytest.raises(InvalidInput, match="row 2"):
        coerce(Column("x", "long"), np.array([1.0, 2.0, 2.5, 3.5]))


@pytest.mark.parametrize("kind", ["long", "integer", "boolean"])
def test_an_optional_column_without_a_missing_value_cannot_be_left_out(kind):
    with pytest.raises(InvalidInput, match="'x'"):
        missing(Column("x", kind, required=False), 3)


@pytest.mark.parametrize("kind", ["double", "float", "string", "datetime"])
def test_an_optional_column_that_is_left_out_is_missing_in_every_row(kind):
    import pandas as pd

    assert pd.isna(missing(Column("x", kind, required=False), 3)).all()
