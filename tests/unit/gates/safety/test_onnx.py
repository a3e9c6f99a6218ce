"""ONNX models: tensors in other files, and operators that are not ONNX's."""

import os
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lifecycle.domain.verdict import Outcome


@pytest.fixture
def onnx_folder(folder):
    """A model that MLflow loads as ONNX."""
    folder.mlmodel(
        flavor="onnx",
        python={"model_path": None, "data": "model.onnx"},
        conf={"pickled_model": None, "data": "model.onnx", "providers": ["CPUExecutionProvider"]},
    )
    (folder.path / "model.pkl").unlink()
    return folder


def tensor(location=None, name="w", **settings):
    """Two numbers, in the model or in another file."""
    made = numpy_helper.from_array(np.array([1.0, 2.0], dtype=np.float32), name)
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **settings}.items():
            made.external_data.add(key=key, value=value)
    return made


def model_with(weight=None, nodes=(), **more):
    """x + w, with some nodes more."""
    add = helper.make_node("Add", ["x", "w"], ["y"])
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy"]
    graph = helper.make_graph([add, *nodes], "g", shape[:1], shape[1:], [weight or tensor()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **more)


def test_a_plain_model_passes(onnx_folder, verdict_on):
    onnx_folder.write("model.onnx", model_with().SerializeToString())
    verdict = verdict_on(onnx_folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


def test_tensors_in_a_file_beside_it_pass(onnx_folder, verdict_on):
    onnx.save_model(
        model_with(),
        onnx_folder.path / "model.onnx",
        save_as_external_data=True,
        location="w.data",
        size_threshold=0,
    )
    assert (onnx_folder.path / "w.data").is_file()
    verdict = verdict_on(onnx_folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


LOCATIONS = [
    "../../etc/passwd",
    "/etc/passwd",
    "../requirements.txt",
    "sub/w.data",
    "..\\w.data",
    "C:w.data",
    "",
    ".",
    "..",
    "w.data\0x",
    "not_there.data",
    "sub",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_tensors_anywhere_else_fail(location, onnx_folder, verdict_on):
    onnx_folder.write("sub/w.data", bytes(8))
    onnx_folder.write("model.onnx", model_with(tensor(location)).SerializeToString())
    verdict = verdict_on(onnx_folder, accept_unknown=["sub/*"])
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.external_data")


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_tensors_behind_a_link_fail(link, onnx_folder, verdict_on, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8))
    link(secret, onnx_folder.path / "w.data")
    onnx_folder.write("model.onnx", model_with(tensor("w.data")).SerializeToString())
    assert verdict_on(onnx_folder).outcome is Outcome.FAILED


def hidden_in(place):
    """A model with a tensor from outside in a place that is easily overlooked."""
    outside = tensor("../../etc/passwd", "evil")
    constant = helper.make_node("Constant", [], ["c"], value=outside)
    if place == "an attribute":
        return model_with(nodes=[constant])
    if place == "several in an attribute":
        node = helper.make_node("Identity", ["x"], ["z"])
        node.attribute.append(helper.make_attribute("many", [outside]))
        return model_with(nodes=[node])
    if place == "a branch":
        branch = helper.make_graph(
            [constant], "b", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [2])]
        )
        return model_with(nodes=[helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)])
    if place == "a function":
        function = helper.make_function("own", "F", [], ["c"], [constant], [helper.make_opsetid("", 17)])
        return model_with(functions=[function])
    model = model_with()
    if place == "a sparse tensor":
        model.graph.sparse_initializer.add().values.CopyFrom(outside)
    if place == "training":
        model.training_info.add().algorithm.initializer.append(outside)
    return model


@pytest.mark.parametrize(
    "place",
    ["an attribute", "several in an attribute", "a branch", "a function", "a sparse tensor", "training"],
)
def test_tensors_from_outside_are_found_in_every_place(place, onnx_folder, verdict_on):
    onnx_folder.write("model.onnx", hidden_in(place).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.external_data"


def test_a_tensor_that_only_pretends_to_be_inside_fails(onnx_folder, verdict_on):
    weight = tensor("../../etc/passwd")
    weight.data_location = TensorProto.DEFAULT
    onnx_folder.write("model.onnx", model_with(weight).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.external_data"


@pytest.mark.parametrize("key", ["__class__", "basepath", "file_path"])
def test_settings_that_no_tensor_has_fail(key, onnx_folder, verdict_on):
    onnx_folder.write("w.data", bytes(8))
    onnx_folder.write("model.onnx", model_with(tensor("w.data", **{key: "x"})).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.external_data"


def test_a_location_that_is_given_twice_fails(onnx_folder, verdict_on):
    weight = tensor("/etc/passwd")
    weight.external_data.add(key="location", value="w.data")
    onnx_folder.write("w.data", bytes(8))
    onnx_folder.write("model.onnx", model_with(weight).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.external_data"


def test_a_file_of_tensors_that_is_a_pickle_fails(onnx_folder, verdict_on, evil):
    onnx_folder.write("w.data", evil)
    onnx_folder.write("model.onnx", model_with(tensor("w.data")).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.not_allowed"


@pytest.mark.parametrize(
    ("domain", "operator"), [("evil", "Run"), ("com.microsoft", "EPContext"), ("ai.onnx.x", "Y")]
)
def test_operators_from_elsewhere_fail(domain, operator, onnx_folder, verdict_on):
    node = helper.make_node(operator, ["x"], ["z"], domain=domain)
    onnx_folder.write("model.onnx", model_with(nodes=[node]).SerializeToString())
    verdict = verdict_on(onnx_folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.custom_operator")
    assert operator in verdict.message


def test_operators_that_the_model_defines_itself_pass(onnx_folder, verdict_on):
    identity = helper.make_node("Identity", ["a"], ["b"])
    function = helper.make_function("own", "F", ["a"], ["b"], [identity], [helper.make_opsetid("", 17)])
    node = helper.make_node("F", ["x"], ["z"], domain="own")
    onnx_folder.write("model.onnx", model_with(nodes=[node], functions=[function]).SerializeToString())
    assert verdict_on(onnx_folder).outcome is Outcome.PASSED
    onnx_folder.write("model.onnx", model_with(nodes=[node]).SerializeToString())
    assert verdict_on(onnx_folder).reason == "safety.custom_operator"


@pytest.mark.parametrize("operator", [("ai.onnx.ml", "Scaler"), ("com.microsoft", "Gelu")])
def test_operators_of_onnx_runtime_pass(operator, onnx_folder, verdict_on):
    node = helper.make_node(operator[1], ["x"], ["z"], domain=operator[0])
    onnx_folder.write("model.onnx", model_with(nodes=[node]).SerializeToString())
    assert verdict_on(onnx_folder).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", ["model.onnxtxt", "model.json", "model.textproto"])
def test_a_model_in_text_does_not_pass_as_text(name, onnx_folder, verdict_on):
    """onnx reads it when the file's name says so, and with it the files that it names."""
    onnx_folder.mlmodel(
        flavor="onnx", python={"model_path": None, "data": name}, conf={"pickled_model": None, "data": name}
    )
    onnx.save_model(model_with(tensor("../../etc/passwd")), onnx_folder.path / name)
    verdict = verdict_on(onnx_folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.INCONCLUSIVE, "safety.unknown_format")


@pytest.mark.parametrize(
    "change", [lambda b: b[:-3], lambda b: b[:20], lambda b: b"\x00" + b, lambda b: b + b"\xff"]
)
def test_a_damaged_model_does_not_pass(change, onnx_folder, verdict_on):
    onnx_folder.write("model.onnx", change(model_with().SerializeToString()))
    assert verdict_on(onnx_folder).outcome is not Outcome.PASSED


def test_a_model_in_an_archive_has_no_files_beside_it(folder, verdict_on, zipped):
    model = model_with(tensor("w.data")).SerializeToString()
    folder.write("model.zip", zipped({"model.onnx": model, "w.data": bytes(8)}))
    assert verdict_on(folder).reason == "safety.external_data"


def test_a_model_larger_than_the_operator_allows_is_not_read(onnx_folder, verdict_on):
    big = SimpleNamespace(raw=np.zeros(300_000, dtype=np.float32))
    weight = numpy_helper.from_array(big.raw, "w")
    onnx_folder.write("model.onnx", model_with(weight).SerializeToString())
    assert verdict_on(onnx_folder, max_mib=1).reason == "safety.too_large"
    assert verdict_on(onnx_folder, max_mib=2).outcome is Outcome.PASSED
