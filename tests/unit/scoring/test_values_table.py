"""The table of values in docs/targets.md, cell by cell, through every way that JSON is read."""

from __future__ import annotations

import pytest

from lifecycle.scoring.payload import decode
from lifecycle.scoring.signature import Column, InvalidInput, Signature

TYPES = ["double", "float", "long", "integer", "boolean", "string", "datetime"]
NUMBERS, WHOLE = TYPES[:2], TYPES[:4]
TAKEN = {
    "5": WHOLE,
    "1.0": WHOLE,
    "1.5": NUMBERS,
    "true": ["boolean"],
    '"1"': ["string"],
    "null": [*NUMBERS, "string", "datetime"],
    "NaN": [],
    "Infinity": [],
    "1e400": [],
    "9" * 5000: [],
    "9223372036854775808": NUMBERS,
    "3000000000": TYPES[:3],
}
BODIES = [
    '{"dataframe_split": {"columns": ["a"], "data": [[@]]}}',
    '{"dataframe_split": {"data": [[@]], "index": [0], "columns": ["a"]}}',
    '{"dataframe_records": [{"a": @}]}',
    '{"instances": [{"a": @}]}',
    '{"inputs": {"a": [@]}}',
    '{"inputs": [{"a": @}]}',
]


@pytest.mark.parametrize("literal", TAKEN, ids=lambda literal: literal[:20])
@pytest.mark.parametrize("kind", TYPES)
def test_a_value_is_taken_or_refused_alike_in_every_shape(kind, literal):
    signature = Signature((Column("a", kind),))
    for body in BODIES:
        sent = body.replace("@", literal).encode()
        if kind in TAKEN[literal]:
            assert decode(sent, "application/json", signature)["a"].dtype == signature.inputs[0].dtype, body
        else:
            with pytest.raises(InvalidInput):
                decode(sent, "application/json", signature)


@pytest.mark.parametrize("year", ["0001", "1600", "2300", "9999"])
def test_a_time_that_nanoseconds_do_not_reach_is_refused_and_not_another_time(year):
    signature = Signature((Column("a", "datetime"),))
    with pytest.raises(InvalidInput):
        decode(f'{{"inputs": {{"a": ["{year}-01-01"]}}}}'.encode(), "application/json", signature)
