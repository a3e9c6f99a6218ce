"""The Open Inference Protocol's binary tensor data extension, byte by byte."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from lifecycle.scoring.signature import Column
from tests.serving_here import Model, echo, mixed, numbers, serving, tensor

pytestmark = pytest.mark.slow

LENGTH = "Inference-Header-Content-Length"
TYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "INT8": "i1",
    "UINT16": "<u2",
    "INT16": "<i2",
    "UINT32": "<u4",
    "INT32": "<i4",
}
TYPES |= {"UINT64": "<u8", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}


def same_of(dtype: str) -> Model:
    column = Column("t", dtype, (-1,))
    return Model((column,), lambda rows: rows["t"], (column,))


def others() -> Model:
    """Outputs that the protocol has no datatype of their own for."""

    def answer(rows):
        raw, word = np.full(len(rows["t"]), b"\xff", object), np.full(len(rows["t"]), "a")
        return {"time": rows["t"].astype("datetime64[s]"), "raw": raw, "word": word}

    return Model((Column("t", "long"),), answer)


@pytest.fixture(scope="module")
def here():
    models = {"mixed": mixed(), "numbers": numbers(), "echo": echo(), "others": others()}
    models |= {name: same_of(np.dtype(code).name) for name, code in TYPES.items()}
    with serving(models) as here:
        yield here


def binary(name: str, datatype: str, shape: list[int], size: int) -> dict:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


def elements(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


@pytest.fixture
def infer(here):
    def infer(model, content, tail, length=None):
        head = json.dumps(content).encode()
        headers = {LENGTH: str(len(head) if length is None else length)}
        return here.ask("POST", f"/v2/models/{model}/infer", head + tail, headers)

    return infer


def read(answer) -> dict[str, tuple[dict, bytes]]:
    """Outputs by name, with the bytes of each."""
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    offset = int(answer.headers[LENGTH.lower()])
    found = {}
    for output in json.loads(answer.body[:offset])["outputs"]:
        end = offset + output["parameters"]["binary_data_size"]
        found[output["name"]] = (output, answer.body[offset:end])
        offset = end
    assert offset == len(answer.body)
    return found


@pytest.mark.parametrize("datatype", TYPES)
def test_each_datatype_goes_there_and_back(infer, datatype):
    sent = np.array([0, 1, 1, 0]).astype(TYPES[datatype])
    content = {"inputs": [binary("t", datatype, [4], sent.nbytes)], "parameters": {"binary_data_output": True}}
    output, data = read(infer(datatype, content, sent.tobytes()))["t"]
    assert (output["datatype"], output["shape"]) == (datatype, [4])
    assert data == sent.tobytes()


@pytest.mark.parametrize("rows", [1, 2, 1000])
@pytest.mark.parametrize("asked", [1, 2], ids=["first", "again"])
def test_columns_of_one_type_as_one_tensor_each(infer, rows, asked):
    values = np.random.default_rng(0).normal(size=(3, rows))
    inputs = [binary(name, "FP64", [rows], 8 * rows) for name in "xyz"]
    output, data = read(
        infer("numbers", {"inputs": inputs, "parameters": {"binary_data_output": True}}, values.tobytes())
    )["output-0"]
    assert output["shape"] == [rows]
    np.testing.assert_allclose(np.frombuffer(data), values[0] + 10 * values[1] + 100 * values[2])


@pytest.mark.parametrize("order", ["xyz", "zyx"])
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT16"])
def test_the_same_json_before_other_bytes_is_another_question(infer, order, datatype):
    content = {"inputs": [binary(name, datatype, [1], np.dtype(TYPES[datatype]).itemsize) for name in order]}
    for digits in ((1, 2, 3), (4, 5, 6)):
        by_name = dict(zip("xyz", digits, strict=True))
        tail = np.array([by_name[name] for name in order], TYPES[datatype]).tobytes()
        answer = infer("numbers", content, tail)
        assert answer.json["outputs"][0]["data"] == [digits[0] + 10 * digits[1] + 100 * digits[2]]


def test_a_matrix_for_all_columns(infer):
    tail = np.array([[1, 2, 3], [4, 5, 6.0]]).tobytes()
    answer = infer("numbers", {"inputs": [binary("input-0", "FP64", [2, 3], 48)]}, tail)
    assert answer.json["outputs"][0]["data"] == [321.0, 654.0]


def test_json_and_bytes_mixed_and_text_with_its_length(infer):
    inputs = [
        binary("c", "BYTES", [2], 9),
        tensor("a", "FP64", [1.5, 2.0]),
        binary("d", "BOOL", [2], 2),
        tensor("b", "INT64", [1, 2]),
    ]
    tail = elements(b"", b"x") + b"\x01\x00"
    answer = infer("mixed", {"id": "7", "inputs": inputs, "parameters": {"binary_data_output": True}}, tail)
    found = read(answer)
    assert np.frombuffer(found["y"][1]).tolist() == [4.0, 6.0]
    assert found["text"][1] == elements(b"", b"x")
    assert json.loads(answer.body[: int(answer.headers[LENGTH.lower()])])["id"] == "7"


def test_each_output_says_for_itself(infer, here):
    content = {
        "inputs": [
            tensor("a", "FP64", [1.0]),
            tensor("b", "INT64", [1]),
            tensor("d", "BOOL", [True]),
            tensor("c", "BYTES", ["é"]),
        ],
        "outputs": [{"name": "text", "parameters": {"binary_data": True}}, {"name": "y"}],
    }
    answer = here.ask("POST", "/v2/models/mixed/infer", content)
    end = int(answer.headers[LENGTH.lower()])
    text, y = json.loads(answer.body[:end])["outputs"]
    assert (y["data"], text["parameters"]) == ([3.0], {"binary_data_size": 6})
    assert answer.body[end:] == elements("é".encode())


def test_times_and_bytes_as_outputs(infer):
    content = {"inputs": [binary("t", "INT64", [2], 16)]}
    outputs = infer("others", content, struct.pack("<2q", 0, 86_400)).json["outputs"]
    assert [(output["datatype"], output["data"]) for output in outputs] == [
        ("BYTES", ["1970-01-01T00:00:00", "1970-01-02T00:00:00"]),
        ("BYTES", ["/w==", "/w=="]),
        ("BYTES", ["a", "a"]),
    ]
    found = read(infer("others", content | {"parameters": {"binary_data_output": True}}, struct.pack("<2q", 0, 1)))
    assert found["raw"][1] == elements(b"\xff", b"\xff")
    assert found["word"][1] == elements(b"a", b"a")


def test_an_output_in_json_although_the_rest_would_be_binary(infer):
    content = {
        "inputs": [binary("input-0", "FP32", [1, 2], 8)],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "output-0", "parameters": {"binary_data": False}}],
    }
    assert infer("echo", content, struct.pack("<2f", 1, 2)).json["outputs"][0]["data"] == [1.0, 2.0]


def test_no_rows(infer):
    content = {"inputs": [binary("t", "FP64", [0], 0)], "parameters": {"binary_data_output": True}}
    answer = infer("FP64", content, b"")
    assert read(answer)["t"] == (
        {"name": "t", "datatype": "FP64", "shape": [0], "parameters": {"binary_data_size": 0}},
        b"",
    )


ONE = [binary("x", "FP64", [1], 8), binary("y", "FP64", [1], 8), binary("z", "FP64", [1], 8)]
TAIL = np.array([1.0, 2.0, 3.0]).tobytes()


@pytest.mark.parametrize("asked", [1, 2], ids=["first", "after a good one"])
@pytest.mark.parametrize("tail", [b"", TAIL[:-1], TAIL + b"\0", TAIL * 2], ids=["none", "short", "long", "twice"])
def test_another_number_of_bytes_than_announced(infer, tail, asked):
    if asked == 2:
        assert infer("numbers", {"inputs": ONE}, TAIL).status == 200
    answer = infer("numbers", {"inputs": ONE}, tail)
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("size", [-8, 7, 16, 2**62, 1.5, True, "8", None])
def test_a_size_that_does_not_fit_the_shape(infer, size):
    answer = infer("FP64", {"inputs": [binary("t", "FP64", [1], size)]}, b"\0" * 8)
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("length", ["-1", "1e3", "", "99999", "9" * 30, "0x10", "1", "٣"])
def test_a_length_of_the_json_that_is_not_its_length(here, length):
    body = json.dumps({"inputs": ONE}).encode() + TAIL
    answer = here.ask("POST", "/v2/models/numbers/infer", body, {LENGTH: length.encode()})
    assert answer.status == 400


@pytest.mark.parametrize(
    "tail",
    [
        elements(b"p"),
        elements(b"p", b"q", b"r"),
        elements(b"p", b"q")[:-1],
        struct.pack("<I", 2**32 - 1) + b"pppp",
        elements(b"p") + b"\1\0",
        elements(b"\xff", b"q"),
    ],
    ids=["too few", "too many", "cut", "a length of 4 GiB", "half a length", "not UTF-8"],
)
def test_text_that_does_not_add_up(infer, tail):
    inputs = [tensor("a", "FP64", [1, 2]), tensor("b", "INT64", [1, 2]), tensor("d", "BOOL", [True, True])]
    answer = infer("mixed", {"inputs": [*inputs, binary("c", "BYTES", [2], len(tail))]}, tail)
    assert (answer.status, list(answer.json)) == (400, ["error"])


def test_a_truth_is_one_byte_of_0_or_1(infer):
    assert infer("BOOL", {"inputs": [binary("t", "BOOL", [2], 2)]}, b"\x00\x02").status == 400


def test_both_data_and_bytes(infer):
    assert infer("FP64", {"inputs": [binary("t", "FP64", [1], 8) | {"data": [1.0]}]}, b"\0" * 8).status == 400


def test_compressed_bodies_are_refused(here):
    answer = here.ask("POST", "/v2/models/numbers/infer", b"x", {"Content-Encoding": "gzip"})
    assert (answer.status, list(answer.json)) == (415, ["error"])


def test_many_different_heads_are_all_answered(infer):
    for count in range(150):
        inputs = [binary(name, "FP64", [1], 8) | {"note": count} for name in "xyz"]
        assert infer("numbers", {"inputs": inputs}, TAIL).json["outputs"][0]["data"] == [321.0]
