"""TensorFlow Serving's REST protocol, against a server that listens.

Protocol: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import pytest

from lifecycle.scoring.signature import Column
from tests.serving_here import Model, echo, mixed, numbers, serving

pytestmark = pytest.mark.slow

ROWS = [{"a": 1.5, "b": 1, "c": "p", "d": True}, {"a": 2.0, "b": 2, "c": "ü", "d": False}]
COLUMNS = {"a": [1.5, 2.0], "b": [1, 2], "c": ["p", "ü"], "d": [True, False]}


def two_tensors() -> Model:
    inputs = (Column("left", "float32", (-1, 2)), Column("right", "float32", (-1, 1)))
    return Model(inputs, lambda rows: rows["left"] * rows["right"])


@pytest.fixture(scope="module")
def here():
    models = {"mixed": mixed(), "numbers": numbers(), "echo": echo(), "two": two_tensors()}
    with serving(models) as here:
        yield here


@pytest.fixture
def predict(here):
    def predict(model, content, path=":predict", headers=None):
        return here.ask("POST", f"/v1/models/{model}{path}", content, headers)

    return predict


@pytest.mark.parametrize("path", [":predict", "/versions/3:predict"])
def test_rows_to_predictions(predict, path):
    answer = predict("mixed", {"instances": ROWS}, path)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"predictions": [{"y": 4.0, "text": "p"}, {"y": 6.0, "text": "ü"}]}


def test_columns_to_outputs(predict):
    assert predict("mixed", {"inputs": COLUMNS}).json == {"outputs": {"y": [4.0, 6.0], "text": ["p", "ü"]}}


def test_a_model_with_one_output_gives_it_bare(predict):
    rows = [{"x": 1, "y": 2, "z": 3}]
    assert predict("numbers", {"instances": rows}).json == {"predictions": [321.0]}
    assert predict("numbers", {"inputs": {"x": [1], "y": [2], "z": [3]}}).json == {"outputs": [321.0]}


@pytest.mark.parametrize(
    "content",
    [
        {"instances": [{"x": [1], "y": [2.0], "z": [3]}]},
        {"instances": [[1, 2, 3]]},
        {"inputs": {"x": [[1]], "y": [[2]], "z": [[3]]}},
        {"inputs": [[1, 2, 3]]},
        {"instances": [{"x": 1, "y": 2, "z": 3, "w": 4}]},
        {"instances": [[1, 2, 3]], "signature_name": "serving_default"},
        {"instances": [[1, 2, 3]], "signature_name": ""},
    ],
)
def test_ways_to_say_the_same_row(predict, content):
    assert list(predict("numbers", content).json.values()) == [[321.0]]


@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_tensors(predict, key):
    answer = {"instances": "predictions", "inputs": "outputs"}[key]
    assert predict("echo", {key: [[1, 2], [3, 4]]}).json == {answer: [[1.0, 2.0], [3.0, 4.0]]}
    assert predict("echo", {"inputs": {"dense_input": [[1, 2]]}}).json == {"outputs": [[1.0, 2.0]]}
    assert predict("echo", {"instances": [{"dense_input": [1, 2]}]}).json == {"predictions": [[1.0, 2.0]]}


def test_several_tensors_by_name(predict):
    assert predict("two", {"inputs": {"left": [[1, 2]], "right": [[3]]}}).json == {"outputs": [[3.0, 6.0]]}
    rows = [{"left": [1, 2], "right": [3]}]
    assert predict("two", {"instances": rows}).json == {"predictions": [[3.0, 6.0]]}


def test_text_in_base64(predict):
    rows = [row | {"c": {"b64": "w7w="}} for row in ROWS]
    assert [row["text"] for row in predict("mixed", {"instances": rows}).json["predictions"]] == ["ü", "ü"]


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "text/plain"])
def test_the_content_type_does_not_matter(predict, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    assert predict("mixed", {"instances": ROWS}, headers=headers).status == 200


MALFORMED = {
    "neither": {},
    "both": {"instances": ROWS, "inputs": COLUMNS},
    "a list": ROWS,
    "a number": 3,
    "another signature": {"instances": ROWS, "signature_name": "other"},
    "a signature that is a list": {"instances": ROWS, "signature_name": []},
    "instances as an object": {"instances": COLUMNS},
    "rows of two kinds": {"instances": [ROWS[0], 1]},
    "rows of numbers": {"instances": [1, 2]},
    "rows too short": {"instances": [[1, 2]]},
    "a column that is missing": {"instances": [{"a": 1.0}]},
    "text for a number": {"instances": [ROWS[0] | {"a": "s3cr3t"}]},
    "an object for a number": {"instances": [ROWS[0] | {"a": {}}]},
    "fractions for whole numbers": {"instances": [ROWS[0] | {"b": 1.5}]},
    "a boolean for a number": {"instances": [ROWS[0] | {"a": True}]},
    "a number for a text": {"instances": [ROWS[0] | {"c": 5}]},
    "base64 that is none": {"instances": [ROWS[0] | {"c": {"b64": "!"}}]},
    "base64 that is a number": {"instances": [ROWS[0] | {"c": {"b64": 1}}]},
    "an object that is no base64": {"instances": [ROWS[0] | {"c": {"x": 1}}]},
    "two values a row": {"instances": [ROWS[0] | {"a": [1.0, 2.0]}]},
    "columns of two lengths": {"inputs": COLUMNS | {"a": [1.0]}},
    "a column that is a number": {"inputs": COLUMNS | {"a": 1.0}},
    "ragged": {"inputs": COLUMNS | {"a": [[1.0], 2.0]}},
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_malformed_is_400_in_the_protocols_shape(predict, content):
    answer = predict("mixed", content)
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert "s3cr3t" not in answer.json["error"]


@pytest.mark.parametrize(
    "content", [[[1]], [[1, 2], [3]], 1, "x", [["a", "b"]], None, [[[1, 2]]], {"a": [[1, 2]], "b": 1}]
)
def test_tensors_of_another_shape(predict, content):
    answer = predict("echo", {"inputs": content})
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"instances": NaN}', b"[" * 100_000])
def test_what_is_no_json(predict, body):
    answer = predict("mixed", body)
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("path", ["/v1/models/numbers", "/v1/models/numbers/versions/3"])
def test_status(here, path):
    state = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert here.ask("GET", path).json == {"model_version_status": [state]}


@pytest.mark.parametrize("path", ["/v1/models/numbers/metadata", "/v1/models/numbers/versions/3/metadata"])
def test_metadata(here, path):
    content = here.ask("GET", path).json
    assert content["model_spec"] == {"name": "numbers", "signature_name": "", "version": "3"}
    definition = content["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert definition["inputs"]["x"] == {
        "dtype": "DT_DOUBLE",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "x",
    }
    assert definition["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/other:predict"),
        ("POST", "/v1/models/mixed/versions/2:predict"),
        ("POST", "/v1/models/mixed:classify"),
        ("POST", "/v1/models/mixed:predict:predict"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/..:predict"),
        ("POST", "/v1/models/..%2Fmixed:predict"),
        ("POST", "/v1/models/mixed:predict/"),
        ("POST", "/v1/models/mixed%2Fversions%2F3:predict"),
        ("GET", "/v1/models/other"),
        ("GET", "/v1/models/mixed/versions/2"),
        ("GET", "/v1/models/other/metadata"),
        ("GET", "/v1/nothing"),
    ],
)
def test_what_is_unknown_is_404_in_the_protocols_shape(here, method, path):
    answer = here.ask(method, path, {"instances": ROWS} if method == "POST" else None)
    assert (answer.status, list(answer.json)) == (404, ["error"])


def test_an_encoded_colon_is_a_colon(predict):
    assert predict("mixed", {"instances": ROWS}, "%3Apredict").status == 200


def test_another_method_is_told_which_it_should_be(here):
    answer = here.ask("GET", "/v1/models/mixed:predict")
    assert (answer.status, answer.headers["allow"], list(answer.json)) == (405, "POST", ["error"])
