import datetime
from decimal import Decimal

import pandas as pd
import pytest

from lifecycle.gates.column_types import ColumnType, as_judged, column_type


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], ColumnType.NUMBER),
        ([1.5, None], ColumnType.NUMBER),
        (pd.array([1, None], dtype="Int64"), ColumnType.NUMBER),
        (pd.Series([1, None, 2.5], dtype=object), ColumnType.NUMBER),
        ([Decimal("1.5")], ColumnType.NUMBER),
        (["a", None], ColumnType.TEXT),
        (pd.Series(["a", None], dtype=object), ColumnType.TEXT),
        (pd.Categorical(["a", "b"]), ColumnType.TEXT),
        (pd.Categorical([1, 2]), ColumnType.NUMBER),
        ([True, False], ColumnType.BOOLEAN),
        (pd.Series([True, None], dtype=object), ColumnType.BOOLEAN),
        (pd.array([True, None], dtype="boolean"), ColumnType.BOOLEAN),
        ([pd.Timestamp("2013-01-01")], ColumnType.DATETIME),
        ([datetime.date(2013, 1, 1)], ColumnType.DATETIME),
        ([pd.Timestamp("2013-01-01", tz="UTC")], ColumnType.ZONED_DATETIME),
        ([None, None], ColumnType.EMPTY),
        ([], ColumnType.EMPTY),
        (pd.Series(["a", 1], dtype=object), ColumnType.OTHER),
        ([[1], [2]], ColumnType.OTHER),
    ],
)
def test_a_column_is_known_by_its_values_and_not_by_its_type(values, kind):
    assert column_type(pd.Series(values)) is kind


def test_rows_as_judged_hold_the_same_values_in_numpy_types():
    rows = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": ["a", None], "b": pd.array([True, None])})
    got = as_judged(rows)
    assert [str(t) for t in got.dtypes] == ["float64", "object", "object"]
    assert got["t"].tolist() == ["a", None]
    assert got["b"].tolist() == [True, None]
    assert str(rows["n"].dtype) == "Int64"
