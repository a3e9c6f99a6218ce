"""What goes to a model's process and comes back is what was meant; batches are put together and taken apart."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from lifecycle.scoring.contract import Fields, Matrix
from lifecycle.serving.engines.merge import NotByRow, concatenate, fit_together, repeat, split
from lifecycle.serving.engines.wire import LENGTHS, columns_of, kind_of, pack, predictions_from, unpack

ARRAYS = {
    "double": np.array([1.5, np.nan, -np.inf]),
    "float": np.array([1.5, 2.5], np.float32),
    "long": np.array([2**63 - 1, -(2**63)]),
    "boolean": np.array([True, False, True]),
    "time": np.array(["2024-02-29T12:00:00.123456789", "NaT"], "datetime64[ns]"),
    "text": np.array(["a", None, "\0", "ü" * 100, ""], object),
    "lists": np.array([[1, 2], [3], []], object),
    "fixed text": np.array(["yes", "no"]),
    "image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "not contiguous": np.arange(12.0).reshape(4, 3)[:, 1],
    "nothing": np.empty((0, 3)),
    "no text": np.empty(0, object),
    "one object": np.array(None, object),
    "one number": np.array(3.5),
    "table of text": np.array([["a", None], ["b", "c"]], object),
}


def through_the_wire(header, columns):
    frame = b"".join(pack(header, columns))
    head, body = LENGTHS.unpack(frame[: LENGTHS.size])
    assert len(frame) == LENGTHS.size + head + body
    return unpack(frame[LENGTHS.size : LENGTHS.size + head], bytearray(frame[LENGTHS.size + head :]))


def test_every_kind_of_array_arrives_as_it_was():
    header, columns = through_the_wire({"params": {"p": 1, "q": None}}, ARRAYS)
    assert header == {"params": {"p": 1, "q": None}}
    assert list(columns) == list(ARRAYS)
    for name, sent in ARRAYS.items():
        got = columns[name]
        assert (got.dtype, got.shape) == (sent.dtype, sent.shape), name
        assert got.tolist() == sent.tolist() or np.array_equal(got, sent, equal_nan=True), name


def test_models_may_change_what_they_are_given():
    _, columns = through_the_wire({}, {"n": np.array([1, 2], np.int8), "x": np.array([1.0, 2.0])})
    columns["x"] += 1
    assert columns["x"].tolist() == [2.0, 3.0]
    assert columns["x"].flags.aligned


def test_what_json_lacks_is_spelt_as_a_scoring_server_would():
    odd = np.array([date(2024, 2, 29), pd.Timestamp("2024-02-29 12:00"), np.float32(1.5), np.arange(2)], object)
    _, columns = through_the_wire({}, {"x": odd})
    assert columns["x"].tolist() == ["2024-02-29", "2024-02-29T12:00:00", 1.5, [0, 1]]


def test_what_has_no_json_form_is_an_error_and_not_a_pickle():
    with pytest.raises(TypeError):
        pack({}, {"x": np.array([object()], object)})


@pytest.mark.parametrize(
    "predictions",
    [np.array([1.0]), {"a": np.array([1]), "b": np.array(["x"], object)}, Fields(a=np.array([1]))],
    ids=["array", "table", "fields"],
)
def test_predictions_keep_their_kind(predictions):
    header, columns = through_the_wire({"kind": kind_of(predictions)}, columns_of(predictions))
    got = predictions_from(header["kind"], columns)
    assert kind_of(got) == kind_of(predictions)
    assert list(columns_of(got)) == list(columns_of(predictions))


def test_matrices_stay_matrices():
    one, other = Matrix(("a", "b"), np.ones((1, 2))), Matrix(("a", "b"), np.zeros((2, 2)))
    assert fit_together(one, other)
    assert not fit_together(one, Matrix(("b", "a"), one.array))
    together = concatenate([one, other])
    assert isinstance(together, Matrix)
    assert together["a"].tolist() == [1, 0, 0]
    assert repeat(one, 3).array.shape == (3, 2)


def test_a_matrix_and_columns_fit_together_by_name():
    columns = {"a": np.array([3.0]), "b": np.array([4.0])}
    matrix = Matrix(("a", "b"), np.array([[1.0, 2.0]]))
    for batches in ([columns, matrix], [matrix, columns]):
        assert fit_together(*batches)
        assert sorted(concatenate(batches)["b"].tolist()) == [2.0, 4.0]


def test_predictions_are_dealt_out_in_order():
    parts = list(split({"y": np.arange(6), "t": np.array(list("abcdef"))}, [1, 0, 3, 2]))
    assert [part["y"].tolist() for part in parts] == [[0], [], [1, 2, 3], [4, 5]]
    assert [type(part) for part in split(Fields(y=np.arange(2)), [1, 1])] == [Fields, Fields]


@pytest.mark.parametrize(
    "predictions",
    [np.arange(2), np.array(1.0), {"y": np.arange(3), "z": np.arange(2)}, Fields(total=np.array(6))],
)
def test_predictions_that_are_not_one_a_row_are_dealt_out_to_nobody(predictions):
    with pytest.raises(NotByRow):
        list(split(predictions, [1, 2]))
