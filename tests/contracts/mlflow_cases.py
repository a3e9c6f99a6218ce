"""The requests that MLflow's scoring server has been seen to answer, C6 to C31, and what ours is to answer."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
SPLIT = {"columns": ["a", "b"], "index": [0, 1], "data": [[1, 2], [3, 4]]}
ONE = [{"y": 1.0, "k": 1.5}]
TWO = [{"y": 1.0, "k": 1.5}, {"y": 3.0, "k": 1.5}]
BAD, INVALID = "BAD_REQUEST", "INVALID_PARAMETER_VALUE"
SECRET = "s3cr3t"


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        body: Bytes, or what JSON they are.
        predictions: For a 200: what the answer holds under that name.
        code: For a 400.
        says: What the message or the plain text holds.
        ours: Why MLflow's own answer is another one; empty when status, code and predictions are the same.
    """

    name: str
    body: Any
    content_type: str | None = JSON
    status: int = 200
    predictions: Any = None
    code: str = ""
    says: str = ""
    ours: str = ""
    tensor: bool = field(default=False)

    @property
    def sent(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def _parquet() -> bytes:
    sink = io.BytesIO()
    pd.DataFrame({"a": [1.0], "b": [2]}).to_parquet(sink)
    return sink.getvalue()


def _ok(name: str, body: Any, predictions: Any = ONE, content_type: str = JSON, **more: Any) -> Case:
    return Case(name, body, content_type, 200, predictions, **more)


def _bad(name: str, body: Any, says: str, code: str = BAD, content_type: str = JSON, **more: Any) -> Case:
    return Case(name, body, content_type, 400, None, code, says, **more)


def _type(name: str, content_type: str | None, says: str, **more: Any) -> Case:
    return Case(name, {"dataframe_split": SPLIT}, content_type, 415, says=says, **more)


def _one(**more: Any) -> dict[str, Any]:
    return {"dataframe_records": [{"a": 1, "b": 2}], **more}


CASES = [
    _ok("C6 split", {"dataframe_split": SPLIT}, TWO),
    _ok("C6 without index", {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}),
    _ok(
        "C6 without columns",
        {"dataframe_split": {"data": [[1, 2]]}},
        ours="MLflow then finds no column of a signature that names them",
    ),
    _ok("C7 params", _one(params={"k": 2}), [{"y": 1.0, "k": 2.0}]),
    _ok("C8 records", _one()),
    _ok("C9 instances", {"instances": [{"a": 1.0, "b": 2}]}),
    _ok("C10 inputs by column", {"inputs": {"a": [1.0, 3.0], "b": [2, 4]}}, TWO),
    _ok("C10 inputs by row", {"inputs": [{"a": 1.0, "b": 2}]}),
    _ok("C11 inputs", {"inputs": [[1, 2], [3, 4]]}, [[1.0, 2.0], [3.0, 4.0]], tensor=True),
    _ok("C11 instances", {"instances": [[1, 2], [3, 4]]}, [[1.0, 2.0], [3.0, 4.0]], tensor=True),
    _ok("C12 CSV", b"a,b\n1,2\n", content_type=CSV),
    _ok("C12 CSV with charset", b"a,b\n1,2\n", content_type="text/csv; charset=utf-8"),
    _ok("C13 Parquet", _parquet(), content_type=PARQUET),
    _type("C14", "application/json; charset=latin-1", "The scoring server only supports UTF-8"),
    _type(
        "C15",
        "application/json; format=pandas-split",
        "Unrecognized content type parameters: format. IMPORTANT: The MLflow Model scoring protocol has changed ",
    ),
    _type("C16", "text/xml", "This predictor only supports the following content types: Types: ['text/csv', "),
    _ok(
        "C17", _one(), content_type="Application/JSON", ours="RFC 9110 says case does not matter; MLflow says 415"
    ),
    _type("C18", None, "Content-Type", ours="MLflow says 500"),
    _bad("C19", [1], "must be a JSON dictionary with exactly one of the input fields"),
    _bad("C20", 3, "Received unexpected input type '<class 'int'>"),
    _bad("C21 truncated", b"{", "Invalid input. Ensure that input is a valid JSON formatted string."),
    _bad("C21 empty", b"", "Invalid input. Ensure that input is a valid JSON formatted string."),
    _bad(
        "C21 not UTF-8",
        b'{"inputs": "\xff"}',
        "Invalid input. Ensure that input is a valid JSON formatted string.",
    ),
    _bad("C22 two", {"inputs": [], "instances": []}, "Received dictionary with input fields: ["),
    _bad("C22 none", {}, "Received dictionary with input fields: []. IMPORTANT: "),
    _ok("C23 another key", _one(more=1)),
    _ok("C23 signature_name", _one(signature_name="x")),
    _ok("C23 unknown parameter", _one(params={"z": 1})),
    _ok("C23 another column", {"dataframe_records": [{"a": 1, "b": 2, "z": "x"}]}),
    _bad("C24 missing column", {"dataframe_records": [{"a": 1, "z": SECRET}]}, "'b'", INVALID),
    _bad("C24 no records", {"dataframe_records": []}, "'a', 'b'", INVALID),
    _bad("C24 shape", {"inputs": [[1, 2, 3]]}, "Failed to enforce schema of data", INVALID, tensor=True),
    _bad("C25", {"dataframe_records": [{"a": SECRET, "b": 2}]}, "Data is not compatible with model signature."),
    _bad("C26 type", _one(params={"k": SECRET}), "Invalid parameters found: ", INVALID),
    _bad("C26 no object", _one(params=[SECRET]), "Parameters must be a dictionary. Got type 'list'.", INVALID),
    _bad(
        "C27 extra key", {"dataframe_split": {**SPLIT, "x": 1}}, "must have 'data' field and optionally 'columns'"
    ),
    _bad("C27 list", {"dataframe_split": [1]}, "Dataframe split format must be a dictionary. Got list."),
    _bad("C27 records", {"dataframe_records": {"a": 1}}, "must be a list of records. Got dictionary."),
    Case(
        "C28",
        {"dataframe_records": [{"a": -1.0, "b": 2}]},
        status=500,
        code="INTERNAL_ERROR",
        ours="the model broke, not the client: MLflow says 400 and shows a stack trace",
    ),
    _bad("C29 CSV", b'a,b\n"1,2', "Failed to parse input as a Pandas DataFrame.", content_type=CSV),
    _bad("C29 Parquet", b"PAR1", "Failed to parse input as a Pandas DataFrame.", content_type=PARQUET),
    _ok(
        "C30",
        {"dataframe_records": [{"a": None, "b": 2}]},
        [{"y": None, "k": 1.5}],
        ours="MLflow writes a bare NaN, which is not JSON",
    ),
    _bad("C31 messages", {"messages": [{"role": "user", "content": SECRET}]}, "'messages'", INVALID),
    _bad("C31 prompt", {"prompt": SECRET}, "'prompt'", INVALID),
    _bad("C31 input", {"input": SECRET}, "'input'", INVALID),
]
"""C1 to C5 are the paths, and C32 is about time: both are in the tests themselves."""
