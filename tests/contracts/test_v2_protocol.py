"""The Open Inference Protocol over REST: every group of calls, against a server that listens.

Protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest

from lifecycle.scoring.signature import Column, Param
from tests.serving_here import Model, echo, mixed, numbers, serving, tensor

pytestmark = pytest.mark.slow

PAIR = [tensor("a", "FP64", [1.5, 2.0]), tensor("b", "INT64", [1, 2]), tensor("d", "BOOL", [True, False])]
WHOLE = [*PAIR, tensor("c", "BYTES", ["p", "ü"])]


def scaled() -> Model:
    return Model(
        (Column("x", "double"),), lambda rows, factor: rows["x"] * factor, (), (Param("factor", "double", 3),)
    )


def when() -> Model:
    return Model((Column("t", "datetime"),), lambda rows: rows["t"].astype("datetime64[D]").astype(np.int64))


@pytest.fixture(scope="module")
def here():
    models = {"mixed": mixed(), "numbers": numbers(), "echo": echo(), "scaled": scaled(), "when": when()}
    with serving(models) as here:
        yield here


@pytest.fixture
def infer(here):
    def infer(model, inputs, path="/infer", **more):
        return here.ask("POST", f"/v2/models/{model}{path}", {"inputs": inputs, **more})

    return infer


@pytest.fixture
def draining(here):
    here.state.draining = True
    yield
    here.state.draining = False


# V1, V2: health


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/mixed/ready", {"name": "mixed", "ready": True}),
        ("/v2/models/numbers/versions/3/ready", {"name": "numbers", "ready": True}),
    ],
)
def test_health(here, path, content):
    answer = here.ask("GET", path)
    assert (answer.status, answer.json) == (200, content)


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/models/mixed/ready"])
def test_what_is_shutting_down_is_alive_and_not_ready(here, draining, path):
    answer = here.ask("GET", path)
    assert (answer.status, answer.json["ready"]) == (400, False)
    assert here.ask("GET", "/v2/health/live").status == 200


# V3, V4: metadata


def test_server_metadata(here):
    content = here.ask("GET", "/v2").json
    assert content["version"] == importlib.metadata.version("mlflow-lifecycle")
    assert content["name"] == "mlflow-lifecycle"
    assert "binary_tensor_data" in content["extensions"]


@pytest.mark.parametrize("path", ["/v2/models/mixed", "/v2/models/mixed/versions/3"])
def test_model_metadata_is_the_signature(here, path):
    assert here.ask("GET", path).json == {
        "name": "mixed",
        "versions": ["3"],
        "platform": "onnxruntime_onnx",
        "inputs": [
            {"name": "a", "datatype": "FP64", "shape": [-1]},
            {"name": "b", "datatype": "INT64", "shape": [-1]},
            {"name": "c", "datatype": "BYTES", "shape": [-1]},
            {"name": "d", "datatype": "BOOL", "shape": [-1]},
        ],
        "outputs": [
            {"name": "y", "datatype": "FP64", "shape": [-1]},
            {"name": "text", "datatype": "BYTES", "shape": [-1]},
        ],
    }


def test_tensors_without_names_are_numbered(here):
    content = here.ask("GET", "/v2/models/echo").json
    assert content["inputs"] == [{"name": "input-0", "datatype": "FP32", "shape": [-1, 2]}]
    assert content["outputs"] == [{"name": "output-0", "datatype": "FP32", "shape": [-1, 2]}]


@pytest.mark.parametrize(
    ("mlflow", "datatype"),
    [
        ("boolean", "BOOL"),
        ("integer", "INT32"),
        ("long", "INT64"),
        ("float", "FP32"),
        ("double", "FP64"),
        ("string", "BYTES"),
        ("datetime", "BYTES"),
    ],
)
def test_each_of_mlflows_types_has_its_datatype(mlflow, datatype):
    from lifecycle.serving.codecs.v2_signature import described

    assert described([Column("x", mlflow)], "input") == [{"name": "x", "datatype": datatype, "shape": [-1]}]


# V5: inference


def test_a_tensor_a_column(infer):
    answer = infer("mixed", WHOLE, id="q1")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "model_name": "mixed",
        "model_version": "3",
        "id": "q1",
        "outputs": [
            {"name": "y", "datatype": "FP64", "shape": [2], "data": [4.0, 6.0]},
            {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["p", "ü"]},
        ],
    }


def test_the_id_is_repeated_only_if_there_was_one(infer):
    assert "id" not in infer("mixed", WHOLE).json
    assert infer("mixed", WHOLE, id="").json["id"] == ""


@pytest.mark.parametrize("path", ["/infer", "/versions/3/infer"])
def test_with_and_without_a_version(infer, path):
    assert infer("mixed", WHOLE, path).json["model_version"] == "3"


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor(name, "FP64", [value]) for name, value in zip("xyz", (1, 2, 3), strict=True)],
        [tensor(name, "FP64", [[value]]) for name, value in zip("xyz", (1, 2, 3), strict=True)],
        [tensor(name, "FP64", [value]) for name, value in zip("zxy", (3, 1, 2), strict=True)],
        [tensor(name, "FP32", [value]) for name, value in zip("xyz", (1, 2, 3), strict=True)],
        [tensor(name, "INT8", [value]) for name, value in zip("xyz", (1, 2, 3), strict=True)],
        [
            *(tensor(name, "FP64", [value]) for name, value in zip("xyz", (1, 2, 3), strict=True)),
            tensor("w", "BOOL", [True]),
        ],
        [tensor("input-0", "FP64", [[1, 2, 3]])],
        [tensor("whatever", "INT32", [[1, 2, 3]])],
        [tensor("x", "FP64", [1, 2, 3], [1, 3])],
        [tensor(name, "FP64", [value], content_type="np") for name, value in zip("xyz", (1, 2, 3), strict=True)],
    ],
    ids=["rows", "rows-1", "order", "narrower", "whole", "extra", "matrix", "matrix-int", "matrix-flat", "np"],
)
def test_columns_come_as_one_tensor_each_or_as_one_for_all(infer, inputs):
    answer = infer("numbers", inputs)
    assert answer.json["outputs"] == [{"name": "output-0", "datatype": "FP64", "shape": [1], "data": [321.0]}]


def test_a_data_frame_as_mlserver_has_it(infer):
    inputs = [tensor(i["name"], i["datatype"], i["data"], [2, 1]) for i in PAIR]
    inputs.append(tensor("c", "BYTES", ["p", "q"], [2, 1], content_type="str"))
    answer = infer("mixed", inputs, parameters={"content_type": "pd"})
    assert answer.json["outputs"][0]["data"] == [4.0, 6.0]


def test_tensors_keep_their_shape_and_datatype(infer):
    answer = infer("echo", [tensor("input-0", "FP32", [[1, 2], [3, 4.5]])])
    assert answer.json["outputs"] == [
        {"name": "output-0", "datatype": "FP32", "shape": [2, 2], "data": [1.0, 2.0, 3.0, 4.5]}
    ]


def test_an_optional_column_may_be_left_out_and_a_missing_value_is_null(infer):
    assert infer("mixed", PAIR).json["outputs"][1]["data"] == [None, None]
    with_gaps = [tensor("a", "FP64", [1.5, None]), *PAIR[1:], tensor("c", "BYTES", [None, "q"])]
    outputs = infer("mixed", with_gaps).json["outputs"]
    assert [output["data"] for output in outputs] == [[4.0, None], [None, "q"]]


@pytest.mark.parametrize("time", ["2026-07-01", "2026-07-01T00:00:00", "2026-07-01T00:00:00.000000"])
def test_times_are_iso_8601(infer, time):
    answer = infer("when", [tensor("t", "BYTES", [time], content_type="datetime")])
    assert answer.json["outputs"][0]["data"] == [20635]
    assert infer("when", [tensor("t", "BYTES", ["yesterday"])]).status == 400


def test_text_in_base64(infer):
    inputs = [*PAIR, tensor("c", "BYTES", ["w7w=", "cQ=="], content_type="base64")]
    assert infer("mixed", inputs).json["outputs"][1]["data"] == ["ü", "q"]


def test_the_models_own_parameters_travel_as_the_protocols(infer):
    inputs = [tensor("x", "FP64", [2.0])]
    assert infer("scaled", inputs).json["outputs"][0]["data"] == [6.0]
    assert infer("scaled", inputs, parameters={"factor": 5}).json["outputs"][0]["data"] == [10.0]
    assert infer("scaled", inputs, parameters={"factor": "5"}).status == 400


# V6: unknown


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/models/other/infer"),
        ("POST", "/v2/models/mixed/versions/2/infer"),
        ("POST", "/v2/models/mixed/versions/03/infer"),
        ("GET", "/v2/models/other"),
        ("GET", "/v2/models/mixed/versions/2"),
        ("GET", "/v2/models/other/ready"),
        ("GET", "/v2/nothing"),
        ("POST", "/v2/models/MIXED/infer"),
        ("POST", "/v2/models/../infer"),
        ("POST", "/v2/models/%2e%2e/infer"),
        ("POST", "/v2/models/mixed%2Fversions%2F3/infer"),
        ("POST", "/v2/models/mi%2578ed/infer"),
        ("POST", "/v2/models/m%C3%BCxed/infer"),
        ("POST", "/v2/models//infer"),
        ("POST", "/v2/models/mixed/infer/"),
    ],
)
def test_what_is_unknown_is_404_in_the_protocols_shape(here, method, path):
    answer = here.ask(method, path, {"inputs": WHOLE} if method == "POST" else None)
    assert answer.status == 404
    assert list(answer.json) == ["error"]


def test_a_name_may_be_percent_encoded(here):
    assert here.ask("POST", "/v2/models/mi%78ed/infer", {"inputs": WHOLE}).status == 200


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "GET"])
def test_another_method_is_told_which_it_should_be(here, method):
    answer = here.ask(method, "/v2/models/mixed/infer")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


# V7: malformed

ONE = tensor("x", "FP64", [2.0])
MALFORMED = {
    "no inputs": {},
    "empty inputs": {"inputs": []},
    "inputs as an object": {"inputs": {"x": ONE}},
    "an input that is a number": {"inputs": [1]},
    "no name": {"inputs": [{k: v for k, v in ONE.items() if k != "name"}]},
    "no shape": {"inputs": [{k: v for k, v in ONE.items() if k != "shape"}]},
    "no datatype": {"inputs": [{k: v for k, v in ONE.items() if k != "datatype"}]},
    "no data": {"inputs": [{k: v for k, v in ONE.items() if k != "data"}]},
    "unknown datatype": {"inputs": [ONE | {"datatype": "FLOAT"}]},
    "datatype in lower case": {"inputs": [ONE | {"datatype": "fp64"}]},
    "datatype as a list": {"inputs": [ONE | {"datatype": ["FP64"]}]},
    "FP16, which has no JSON": {"inputs": [ONE | {"datatype": "FP16"}]},
    "shape too large": {"inputs": [ONE | {"shape": [2]}]},
    "shape too small": {"inputs": [ONE | {"shape": [0]}]},
    "negative shape": {"inputs": [ONE | {"shape": [-1]}]},
    "shape of fractions": {"inputs": [ONE | {"shape": [1.0]}]},
    "shape of booleans": {"inputs": [ONE | {"shape": [True]}]},
    "shape without axes": {"inputs": [ONE | {"shape": []}]},
    "shape beyond all measure": {"inputs": [ONE | {"shape": [10**30, 0]}]},
    "shape with 100 axes": {"inputs": [ONE | {"shape": [1] * 100}]},
    "two axes": {"inputs": [tensor("x", "FP64", [[1.0, 2.0]])]},
    "twice": {"inputs": [ONE, ONE]},
    "data as a number": {"inputs": [ONE | {"data": 2.0}]},
    "data as text": {"inputs": [ONE | {"data": "2.0"}]},
    "text for a number": {"inputs": [ONE | {"data": ["2.0"]}]},
    "an object for a number": {"inputs": [ONE | {"data": [{}]}]},
    "ragged": {"inputs": [tensor("x", "FP64", [[1.0], 2.0], [2])]},
    "a boolean for a number": {"inputs": [ONE | {"data": [True]}]},
    "another column": {"inputs": [ONE | {"name": "y", "data": [[1.0, 2.0]], "shape": [1, 2]}]},
    "fractions as INT64": {"inputs": [tensor("x", "INT64", [1.5])]},
    "beyond INT8": {"inputs": [tensor("x", "INT8", [200])]},
    "negative UINT8": {"inputs": [tensor("x", "UINT8", [-1])]},
    "BYTES for a number": {"inputs": [tensor("x", "BYTES", ["1"])]},
    "BOOL for a number": {"inputs": [tensor("x", "BOOL", [True])]},
    "id as a number": {"inputs": [ONE], "id": 1},
    "outputs as an object": {"inputs": [ONE], "outputs": {}},
    "outputs without a name": {"inputs": [ONE], "outputs": [{}]},
    "the same output twice": {"inputs": [ONE], "outputs": [{"name": "output-0"}] * 2},
    "binary data that is not there": {"inputs": [{"parameters": {"binary_data_size": 8}} | ONE]},
    "a name of a megabyte": {"inputs": [ONE | {"name": "x" * 2**20}]},
    "a list": [ONE],
    "a number": 3,
    "null": None,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_malformed_is_400_in_the_protocols_shape(here, content):
    body = b"null" if content is None else content
    answer = here.ask("POST", "/v2/models/scaled/infer", body)
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert len(answer.body) < 2000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"inputs": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_400_in_the_protocols_shape(here, body):
    answer = here.ask("POST", "/v2/models/scaled/infer", body)
    assert (answer.status, list(answer.json)) == (400, ["error"])


def test_the_column_is_named_and_its_values_are_not(infer):
    message = infer("mixed", [tensor("a", "BYTES", ["s3cr3t", "q"]), *PAIR[1:]]).json["error"]
    assert "'a'" in message
    assert "s3cr3t" not in message


def test_columns_of_different_lengths(infer):
    assert infer("mixed", [tensor("a", "FP64", [1.0]), *PAIR[1:]]).status == 400


# V8: outputs


def test_only_the_outputs_that_are_asked_for_in_that_order(infer):
    names = ["text", "y"]
    answer = infer("mixed", WHOLE, outputs=[{"name": name} for name in names])
    assert [output["name"] for output in answer.json["outputs"]] == names
    answer = infer("mixed", WHOLE, outputs=[{"name": "text"}])
    assert [output["name"] for output in answer.json["outputs"]] == ["text"]


def test_an_output_that_there_is_not(infer):
    answer = infer("mixed", WHOLE, outputs=[{"name": "nope"}])
    assert answer.status == 400
    assert "'nope'" in answer.json["error"]


# V9: nested or flat


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1], [2], [3], [4]], [[[1, 2]], [[3, 4]]]])
def test_data_is_row_major_nested_or_flat(infer, data):
    answer = infer("echo", [tensor("input-0", "FP32", data, [2, 2])])
    assert answer.json["outputs"][0]["data"] == [1.0, 2.0, 3.0, 4.0]


# V10: parameters


@pytest.mark.parametrize("value", ["s", 1, 1.5, True])
def test_parameters_are_strings_numbers_and_booleans(infer, value):
    inputs = [tensor("x", "FP64", [2.0], note=value)]
    outputs = [{"name": "output-0", "parameters": {"note": value}}]
    assert infer("scaled", inputs, parameters={"note": value}, outputs=outputs).status == 200


@pytest.mark.parametrize("value", [None, [1], {"a": 1}])
def test_parameters_are_nothing_else(infer, value):
    assert infer("scaled", [ONE], parameters={"note": value}).status == 400
    assert infer("scaled", [ONE | {"parameters": {"note": value}}]).status == 400
    assert infer("scaled", [ONE], outputs=[{"name": "output-0", "parameters": {"note": value}}]).status == 400


@pytest.mark.parametrize("name", ["shared_memory_region", "classification"])
def test_extensions_that_there_are_not_are_refused_and_not_passed_over(infer, name):
    assert infer("scaled", [tensor("x", "FP64", [2.0], **{name: "r"})]).status == 400


# V11: the repository


def test_the_index_says_what_is_loaded(here):
    index = here.ask("POST", "/v2/repository/index").json
    assert [(entry["name"], entry["version"], entry["state"]) for entry in index] == [
        (name, "3", "READY") for name in ("echo", "mixed", "numbers", "scaled", "when")
    ]
    assert here.ask("POST", "/v2/repository/index", {"ready": True}).json == index


def test_the_index_while_shutting_down(here, draining):
    assert {entry["state"] for entry in here.ask("POST", "/v2/repository/index", {}).json} == {"UNAVAILABLE"}
    assert here.ask("POST", "/v2/repository/index", {"ready": True}).json == []


@pytest.mark.parametrize("content", [b"{", {"ready": 1}, [1]])
def test_a_malformed_index_request(here, content):
    answer = here.ask("POST", "/v2/repository/index", content)
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_nobody_loads_models_over_the_network(here, verb):
    answer = here.ask("POST", f"/v2/repository/models/mixed/{verb}", {})
    assert answer.status == 400
    assert "promotion" in answer.json["error"]
    assert here.ask("GET", "/v2/models/mixed/ready").status == 200


# Deadlines


def test_triton_clients_say_in_microseconds_how_long_they_wait(infer):
    assert infer("scaled", [ONE], parameters={"timeout": 5_000_000}).status == 200
    assert infer("scaled", [ONE], parameters={"timeout": 1}).status == 504
    assert infer("scaled", [ONE], parameters={"timeout": "1"}).status == 400
