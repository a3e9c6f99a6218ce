"""MLflow's scoring protocol: bodies to batches, predictions to bodies."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.scoring.payload import UnsupportedContentType, decode, encode
from lifecycle.scoring.signature import Column, InvalidInput, Signature

TABLE = Signature((Column("a", "double"), Column("b", "long"), Column("c", "string", required=False)))
TENSOR = Signature((Column("", "float32", (-1, 2)),))
JSON = "application/json"

SPLIT = {"dataframe_split": {"columns": ["a", "b", "c"], "index": [0, 1], "data": [[1.5, 2, "x"], [2, 3, None]]}}
RECORDS = {"dataframe_records": [{"a": 1.5, "b": 2, "c": "x"}, {"b": 3, "a": 2.0}]}
INSTANCES = {"instances": [{"a": 1.5, "b": 2, "c": "x"}, {"a": 2, "b": 3, "c": None}]}
INPUTS = {"inputs": {"a": [1.5, 2.0], "b": [2, 3], "c": ["x", None]}}


def listed(batch):
    return {name: values.tolist() for name, values in batch.items()}


@pytest.mark.parametrize("content", [SPLIT, RECORDS, INSTANCES, INPUTS])
def test_the_four_json_shapes_mean_the_same_rows(content):
    batch = decode(json.dumps(content).encode(), JSON, TABLE)
    assert listed(batch) == {"a": [1.5, 2.0], "b": [2, 3], "c": ["x", None]}
    assert [values.dtype.kind for values in batch.values()] == ["f", "i", "O"]


@pytest.mark.parametrize("content_type", ["text/csv", "text/csv; charset=utf-8"])
def test_csv_means_the_same_rows(content_type):
    assert listed(decode(b"c,a,b\nx,1.5,2\n,2,3\n", content_type, TABLE)) == {
        "a": [1.5, 2.0],
        "b": [2, 3],
        "c": ["x", None],
    }


def test_quoted_csv_cells_may_hold_commas_and_newlines():
    batch = decode(b'a,b,c\n1,2,"x, y\nz"\n', "text/csv", TABLE)
    assert batch["c"].tolist() == ["x, y\nz"]


@pytest.mark.parametrize("key", ["inputs", "instances"])
def test_tensors_come_as_nested_lists(key):
    batch = decode(json.dumps({key: [[1, 2], [3, 4]]}).encode(), JSON, TENSOR)
    assert listed(batch) == {"": [[1.0, 2.0], [3.0, 4.0]]}
    assert batch[""].dtype == np.float32


def test_extra_columns_and_extra_keys_are_left_out():
    body = {"dataframe_split": {"columns": ["z", "b", "a"], "data": [[0, 1, 2]]}, "signature_name": "x"}
    assert listed(decode(json.dumps(body).encode(), JSON, TABLE)) == {"a": [2.0], "b": [1], "c": [None]}


@pytest.mark.parametrize("content", [{"dataframe_split": {"columns": ["a", "b"], "data": []}}])
def test_no_rows_are_an_empty_batch(content):
    assert listed(decode(json.dumps(content).encode(), JSON, TABLE)) == {"a": [], "b": [], "c": []}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"{}",
        b'{"inputs": [], "instances": []}',
        b'{"dataframe_split": []}',
        b'{"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": "ab", "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": [["a"], "b"], "data": [[1, 2]]}}',
        b'{"dataframe_records": {"a": 1}}',
        b'{"dataframe_records": [1]}',
        b'{"dataframe_records": [{"a": 1}]}',
        b'{"dataframe_records": [{"a": [1], "b": 1}]}',
        b'{"dataframe_records": [{"a": {}, "b": 1}]}',
        b'{"inputs": {"a": [1], "b": [1, 2]}}',
        b'{"inputs": [[1, 2]]}',
        b'{"dataframe_records": [{"a": NaN, "b": 1}]}',
        b'{"dataframe_records": [{"a": 1e400, "b": 1}]}',
        b'{"dataframe_records": [{"a": ' + b"1" * 5000 + b', "b": 1}]}',
        b'{"dataframe_records": [{"a": "1", "b": 1}]}',
        b'{"dataframe_records": [{"a": null, "b": 1}, {"a": 1' + b"0" * 400 + b', "b": 1}]}',
        b'{"dataframe_records": [{"a": 1, "b": 1.5}]}',
        b'{"dataframe_records": [{"a": 1, "b": true}]}',
        b'{"dataframe_records": [{"a": 1, "b": 9223372036854775808}]}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"inputs": "\xff"}',
        b'\xef\xbb\xbf{"inputs": {}}',
        b'{"inputs": {}} trailing',
        b'{"inputs": "\\ud800"}',
    ],
    ids=lambda body: body[:50].decode("latin-1"),
)
def test_malformed_json_is_invalid_input_and_nothing_worse(body):
    with pytest.raises(InvalidInput):
        decode(body, JSON, TABLE)


@pytest.mark.parametrize(
    "body", [b"", b"a,b\n1", b"a,b\n1,2,3\n", b"a,b\nx,2\n", b"\xff,b\n1,2\n", b'a,b\n"1,2\n']
)
def test_malformed_csv_is_invalid_input(body):
    with pytest.raises(InvalidInput):
        decode(body, "text/csv", TABLE)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "text/csv; charset=utf-16",
        "application/json; charset=latin-1",
        "x",
        ";;",
    ],
)
def test_other_media_types_are_named_as_such(content_type):
    with pytest.raises(UnsupportedContentType):
        decode(b"{}", content_type, TABLE)


@given(st.binary(max_size=200))
def test_no_body_whatsoever_raises_anything_but_invalid_input(body):
    for content_type in (JSON, "text/csv"):
        with suppress(InvalidInput):
            decode(body, content_type, TABLE)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array([1.5, 2.0]), [1.5, 2.0]),
        (np.array([[0.25, 0.75]]), [[0.25, 0.75]]),
        (np.array([1, 2], dtype=np.int32), [1, 2]),
        (np.array([True]), [True]),
        (np.array(["late", "on time"]), ["late", "on time"]),
        (np.array(["late", None], dtype=object), ["late", None]),
        (np.array([np.nan, np.inf]), [None, None]),
        ({"y": np.array([1.5, np.nan]), "k": np.array(["a", "b"])}, [{"y": 1.5, "k": "a"}, {"y": None, "k": "b"}]),
    ],
)
def test_predictions_are_shaped_as_mlflow_shapes_them_and_always_valid_json(predictions, expected):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(encode(predictions), parse_constant=refuse) == {"predictions": expected}
