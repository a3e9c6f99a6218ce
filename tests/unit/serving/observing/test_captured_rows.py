"""Every shape of input and answer becomes columns, in the order in which rows were answered."""

from __future__ import annotations

import numpy as np
import pytest

from lifecycle.errors import OptionError
from lifecycle.scoring.contract import Fields, Matrix
from lifecycle.scoring.signature import Column, Signature
from lifecycle.serving.codec import Call
from lifecycle.serving.message import Request
from lifecycle.serving.observer import Exchange
from lifecycle.serving.observing.captured_rows import table_of

NUMBERS = Signature((Column("x", "double"), Column("y", "double")))
OPTIONAL = Signature((Column("x", "double"), Column("c", "string", required=False)))
TENSOR = Signature((Column("", "float32", (-1, 2)),))


def exchange(batch, predictions) -> Exchange:
    made = Exchange(Request("POST", "/invocations", []), "mlflow")
    made.call = Call(batch, len(next(iter(batch.values()))))
    made.predictions = predictions
    return made


def columns(exchanges, signature, masked=frozenset()) -> dict[str, list]:
    table = table_of(exchanges, signature, 7, masked).to_pydict()
    told = ("_lifecycle_time", "_lifecycle_request_id")
    return {name: values for name, values in table.items() if name not in told}


def test_matrices_are_put_together():
    matrices = [
        Matrix(("x", "y"), np.array([[1.0, np.nan], [3.0, 4.0]])),
        Matrix(("x", "y"), np.array([[5.0, 6.0]])),
    ]
    exchanges = [exchange(matrix, matrix.array.sum(axis=1)) for matrix in matrices]
    assert columns(exchanges, NUMBERS)["x"] == [1.0, 3.0, 5.0]
    assert columns(exchanges, NUMBERS)["y"] == [None, 4.0, 6.0]
    assert columns(exchanges, NUMBERS)["_lifecycle_version"] == [7, 7, 7]


def test_matrices_and_columns_may_be_mixed():
    plain = {"x": np.array([1.0]), "y": np.array([2.0])}
    matrix = Matrix(("x", "y"), np.array([[3.0, 4.0]]))
    found = columns([exchange(batch, np.zeros(1)) for batch in (plain, matrix)], NUMBERS)
    assert (found["x"], found["y"]) == ([1.0, 3.0], [2.0, 4.0])


def test_an_optional_column_is_null_where_it_was_not_sent():
    with_text = {"x": np.array([1.0]), "c": np.array(["a"], object)}
    without = {"x": np.array([2.0, 3.0])}
    found = columns([exchange(with_text, np.zeros(1)), exchange(without, np.zeros(2))], OPTIONAL)
    assert found["c"] == ["a", None, None]


def test_a_tensors_rows_are_lists():
    batch = {"": np.array([[1, 2], [3, 4]], np.float32)}
    assert columns([exchange(batch, np.zeros(2))], TENSOR)["input"] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array(["yes", "no"], object), {"prediction": ["yes", "no"]}),
        (np.array([True, False]), {"prediction": [True, False]}),
        (np.array([[0.25, 0.75], [1, 0]]), {"prediction_0": [0.25, 1], "prediction_1": [0.75, 0]}),
        (
            {"late": np.array([1, 0]), "why": np.array(["fog", None], object)},
            {"prediction_late": [1, 0], "prediction_why": ["fog", None]},
        ),
    ],
)
def test_answers_of_every_shape(predictions, expected):
    batch = {"x": np.zeros(2), "y": np.zeros(2)}
    found = columns([exchange(batch, predictions)], NUMBERS)
    assert {k: v for k, v in found.items() if "prediction" in k} == {
        f"_lifecycle_{name}": values for name, values in expected.items()
    }


def test_a_named_answer_with_several_values_a_row_is_a_list():
    predictions = Fields({"label": np.array([1, 0]), "scores": np.array([[1.0, np.nan], [3.0, 4.0]])})
    found = columns([exchange({"": np.ones((2, 2), np.float32)}, predictions)], TENSOR)
    assert found["_lifecycle_prediction_label"] == [1, 0]
    assert found["_lifecycle_prediction_scores"] == [[1.0, None], [3.0, 4.0]]


def test_a_mask_has_to_name_a_column():
    with pytest.raises(OptionError, match="'z'"):
        columns([exchange({"x": np.zeros(1), "y": np.zeros(1)}, np.zeros(1))], NUMBERS, {"z"})
