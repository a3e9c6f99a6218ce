"""Triton's own HTTP client asks a deployed model, in JSON and in binary."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from lifecycle.testing.target_contract import Example

pytestmark = pytest.mark.slow

DATATYPES = {"f": "FP64", "O": "BYTES"}


@pytest.fixture(scope="module")
def example(lifecycle_models) -> Example:
    return lifecycle_models[0].example("flights")


@pytest.fixture(scope="module")
def client(example, rest):
    client = triton.InferenceServerClient(rest.deploy(example.spec).address.removeprefix("http://"))
    yield client
    client.close()


def inputs(example, *, binary: bool, width: tuple[int, ...] = ()) -> list[triton.InferInput]:
    """A tensor a column, ``[rows]`` or with an axis more."""
    made = []
    for name, values in example.rows.items():
        shaped = values.reshape(len(values), *width)
        tensor = triton.InferInput(name, list(shaped.shape), DATATYPES[values.dtype.kind])
        made.append(tensor.set_data_from_numpy(shaped, binary_data=binary))
    return made


def test_it_is_live_and_ready(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "1")
    assert not client.is_model_ready("flights", "2")
    assert not client.is_model_ready("other")


def test_metadata_says_how_to_ask(client, example):
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("flights")
    announced = [(tensor["name"], tensor["datatype"], tensor["shape"]) for tensor in metadata["inputs"]]
    assert announced == [(name, DATATYPES[v.dtype.kind], [-1]) for name, v in example.rows.items()]
    assert metadata["outputs"] == [{"name": "output-0", "datatype": "FP64", "shape": [-1, 2]}]
    assert client.get_model_metadata("flights", "1") == metadata


@pytest.mark.parametrize("width", [(), (1,)], ids=["rows", "rows-1"])
@pytest.mark.parametrize("binary_answer", [True, False], ids=["binary answer", "JSON answer"])
@pytest.mark.parametrize("binary", [True, False], ids=["binary", "JSON"])
def test_predictions_are_the_models_own(client, example, binary, binary_answer, width):
    outputs = [triton.InferRequestedOutput("output-0", binary_data=binary_answer)]
    for _ in range(2):  # the second time what was understood of the first one's head is used again
        answer = client.infer("flights", inputs(example, binary=binary, width=width), outputs=outputs)
        found = answer.as_numpy("output-0")
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, example.expected, rtol=1e-6, atol=1e-7)


def test_every_output_in_binary_is_what_a_client_gets_that_names_none(client, example):
    answer = client.infer("flights", inputs(example, binary=True), request_id="q-1", timeout=20_000_000)
    np.testing.assert_allclose(answer.as_numpy("output-0"), example.expected, rtol=1e-6, atol=1e-7)
    response = answer.get_response()
    assert (response["id"], response["model_name"], response["model_version"]) == ("q-1", "flights", "1")


def test_one_row(client, example):
    first = Example(
        example.spec, {name: values[:1] for name, values in example.rows.items()}, example.expected[:1]
    )
    answer = client.infer("flights", inputs(first, binary=True))
    np.testing.assert_allclose(answer.as_numpy("output-0"), first.expected, rtol=1e-6, atol=1e-7)


def test_many_at_once(client, example):
    asked = [client.async_infer("flights", inputs(example, binary=binary)) for binary in (True, False) * 5]
    for answer in asked:
        np.testing.assert_allclose(
            answer.get_result().as_numpy("output-0"), example.expected, rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize(
    ("model", "version", "outputs", "status"),
    [("other", "", None, "404"), ("flights", "9", None, "404"), ("flights", "1", ["nope"], "400")],
)
def test_what_there_is_not_is_an_exception_with_our_words(client, example, model, version, outputs, status):
    wanted = outputs and [triton.InferRequestedOutput(name) for name in outputs]
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs(example, binary=True), version, outputs=wanted)
    assert caught.value.status() == status
    assert caught.value.message()


def test_columns_that_are_missing_are_named(client, example):
    with pytest.raises(InferenceServerException, match="'origin'"):
        client.infer("flights", inputs(example, binary=True)[:-1])


def test_a_client_that_does_not_wait_is_not_answered_late(client, example):
    with pytest.raises(InferenceServerException) as caught:
        client.infer("flights", inputs(example, binary=True), timeout=1)
    assert caught.value.status() == "504"


def test_the_repository_is_shown_and_not_changed(client):
    assert client.get_model_repository_index() == [
        {"name": "flights", "version": "1", "state": "READY", "reason": ""}
    ]
    with pytest.raises(InferenceServerException, match="promotion"):
        client.load_model("flights")
    with pytest.raises(InferenceServerException, match="promotion"):
        client.unload_model("flights")
    assert client.is_model_ready("flights")
