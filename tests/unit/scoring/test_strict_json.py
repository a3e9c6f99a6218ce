"""What a JSON parser lets pass and a server must not."""

from __future__ import annotations

import json

import psutil
import pytest

from lifecycle.scoring.payload import decode
from lifecycle.scoring.signature import Column, InvalidInput, Signature

NUMBERS = Signature((Column("a", "double"), Column("b", "double")))
MIXED = Signature((Column("a", "double"), Column("b", "string")))
JSON = "application/json"


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]], "data": [[3, 4]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}, "dataframe_split": {}}',
        b'{"dataframe_records": [{"a": 1, "b": 2, "a": 3}]}',
        b'{"inputs": {"a": [1], "b": [2], "a": [3]}}',
        b'{"inputs": {"a": [1], "b": [2]}, "x": {"y": 1, "y": 2}}',
        rb'{"inputs": {"a": [1], "b": [2], "\u0061": [3]}}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(body):
    with pytest.raises(InvalidInput, match="twice"):
        decode(body, JSON, NUMBERS)


@pytest.mark.parametrize("text", ["12:30", '"', "\\", '\\"', "{", '{"a": 1, "a": 2}', "\\\\", 'x\\\\"y:'])
def test_texts_that_look_like_keys_are_texts(text):
    body = json.dumps({"dataframe_records": [{"a": 1, "b": text}]}).encode()
    assert decode(body, JSON, MIXED)["b"].tolist() == [text]


@pytest.mark.parametrize(
    "body",
    [
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2, 3], [4]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, [2]]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[[1, 2], 3]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, true]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, "2"]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [1, 2]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": 1}}',
        b'\xef\xbb\xbf{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}} x',
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, NaN]]}}',
        b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}',
        b'"dataframe_split"',
        b'["dataframe_split"]',
    ],
)
def test_the_short_cut_for_numbers_takes_nothing_that_the_long_way_refuses(body):
    with pytest.raises(InvalidInput):
        decode(body, JSON, NUMBERS)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"[[1, null]]", [[1.0, None]]),
        (b"[[18446744073709551616, -0]]", [[2.0**64, 0.0]]),
        (b"[[1e308, 5e-324]]", [[1e308, 5e-324]]),
        (b"[[9007199254740993, 0.1]]", [[9007199254740992.0, 0.1]]),
    ],
)
def test_odd_numbers_mean_what_python_makes_of_them(data, expected):
    batch = decode(b'{"dataframe_split": {"columns": ["a", "b"], "data": ' + data + b"}}", JSON, NUMBERS)
    rows = [
        [None if cell != cell else cell for cell in row]  # noqa: PLR0124  # only NaN is not itself
        for row in zip(batch["a"].tolist(), batch["b"].tolist(), strict=True)
    ]
    assert rows == expected


def test_whole_numbers_beyond_what_a_float_holds_stay_what_they_are():
    signature = Signature((Column("a", "long"),))
    for cells in (b"[[9007199254740993]]", b"[[9007199254740993], [1.0]]"):
        body = b'{"dataframe_split": {"columns": ["a"], "data": ' + cells + b"}}"
        assert int(decode(body, JSON, signature)["a"][0]) == 2**53 + 1


HOSTILE = {
    "100,000 levels": lambda: b'{"inputs":' * 100_000,
    "a million keys": lambda: b'{"inputs": {' + b",".join(b'"k%d":1' % i for i in range(1_000_000)) + b"}}",
    "a million empty lists": lambda: b'{"inputs": [' + b"[]," * 1_000_000 + b"[]]}",
    "a million empty objects": lambda: b'{"inputs": [' + b"{}," * 1_000_000 + b"{}]}",
    "a number of a million digits": lambda: b'{"inputs": {"a": ' + b"9" * 1_000_000 + b', "b": 1}}',
    "a million backslashes": lambda: b'{"inputs": {"a": "' + b"\\\\" * 500_000 + b'", "b": 1}}',
}


@pytest.mark.parametrize("made", HOSTILE.values(), ids=HOSTILE)
def test_what_is_made_to_exhaust_a_server_is_refused_without_being_built(made):
    body = made()
    before = psutil.Process().memory_info().rss
    with pytest.raises(InvalidInput):
        decode(body, JSON, NUMBERS)
    assert psutil.Process().memory_info().rss - before < 64 * 2**20
