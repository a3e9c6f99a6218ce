import datetime
from decimal import Decimal

import pandas as pd
import pytest

from lifecycle.gates.kinds import Kind, kind_of, plain


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], Kind.NUMBER),
        ([1.5, None], Kind.NUMBER),
        (pd.array([1, None], dtype="Int64"), Kind.NUMBER),
        (pd.Series([1, None, 2.5], dtype=object), Kind.NUMBER),
        ([Decimal("1.5")], Kind.NUMBER),
        (["a", None], Kind.TEXT),
        (pd.Series(["a", None], dtype=object), Kind.TEXT),
        (pd.Categorical(["a", "b"]), Kind.TEXT),
        (pd.Categorical([1, 2]), Kind.NUMBER),
        ([True, False], Kind.BOOLEAN),
        (pd.Series([True, None], dtype=object), Kind.BOOLEAN),
        (pd.array([True, None], dtype="boolean"), Kind.BOOLEAN),
        ([pd.Timestamp("2013-01-01")], Kind.DATETIME),
        ([datetime.date(2013, 1, 1)], Kind.DATETIME),
        ([pd.Timestamp("2013-01-01", tz="UTC")], Kind.ZONED_DATETIME),
        ([None, None], Kind.EMPTY),
        ([], Kind.EMPTY),
        (pd.Series(["a", 1], dtype=object), Kind.OTHER),
        ([[1], [2]], Kind.OTHER),
    ],
)
def test_a_column_is_known_by_its_values_and_not_by_its_type(values, kind):
    assert kind_of(pd.Series(values)) is kind


def test_plain_rows_hold_the_same_values_in_numpy_types():
    rows = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": ["a", None], "b": pd.array([True, None])})
    got = plain(rows)
    assert [str(t) for t in got.dtypes] == ["float64", "object", "object"]
    assert got["t"].tolist() == ["a", None]
    assert got["b"].tolist() == [True, None]
    assert str(rows["n"].dtype) == "Int64"
