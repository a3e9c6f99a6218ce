"""PyTorch's and Keras's archives are judged by what loading them evaluates, creates and opens."""

import io
import json
import pickle

import pytest

from lifecycle.domain.verdict import Outcome

GRAPH = {
    "graph_module": {
        "graph": {
            "nodes": [{"target": "torch.ops.aten.linear.default", "inputs": []}],
            "sizes": [{"as_expr": {"expr_str": "Symbol('s31', positive=True, integer=True)"}}],
        }
    },
    "guards_code": [],
}


def program(zipped, graph=GRAPH, weights=None, **more):
    """A model.pt2 with this graph."""
    listed = {"config": {"0.weight": {"path_name": "weight_0", "use_pickle": False}}}
    entries = {
        "model/archive_format": "pt2",
        "model/archive_version": "0",
        "model/data/weights/weight_0": b"\x80\x81\x00\xff" * 4,
        "model/data/weights/model_weights_config.json": json.dumps(weights or listed),
        "model/models/model.json": json.dumps(graph),
    }
    return zipped(entries | more)


@pytest.fixture
def network(folder):
    folder.mlmodel(flavor="pytorch", python={"data": "data", "pickle_module_name": "mlflow.pytorch.pickle_module"})
    return folder


def test_a_program_of_torchs_own_operators_passes(network, verdict_on, zipped):
    network.write("data/model.pt2", program(zipped))
    verdict = verdict_on(network)
    assert verdict.outcome is Outcome.PASSED, verdict.message


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.mine.run.default",
        "torch.hub.load",
        "torch.load",
        "os.system",
        "#mine",
        "_operator.__import__",
        7,
    ],
)
def test_another_operator_fails(target, network, verdict_on, zipped):
    graph = GRAPH | {"more": [{"target": target}]}
    network.write("data/model.pt2", program(zipped, graph))
    assert verdict_on(network).reason == "safety.not_allowed"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('id')",
        "Symbol('s1').__class__",
        "exec('1')",
        "(lambda: 1)()",
        "s1.evalf()",
        "S('os')",
        "Symbol('s1'); os",
        None,
    ],
)
def test_a_size_that_sympy_would_run_fails(text, network, verdict_on, zipped):
    graph = GRAPH | {"more": {"as_expr": {"expr_str": text}}}
    network.write("data/model.pt2", program(zipped, graph))
    assert verdict_on(network).reason == "safety.not_allowed"


@pytest.mark.parametrize("text", ["s0 + 1", "Max(1, s0*s1) // 2", "Mod(Symbol('u3', integer=True), 4)", "2.5"])
def test_a_plain_size_passes(text, network, verdict_on, zipped):
    graph = GRAPH | {"more": {"as_expr": {"expr_str": text}}}
    network.write("data/model.pt2", program(zipped, graph))
    assert verdict_on(network).outcome is Outcome.PASSED


def test_guards_as_code_fail(network, verdict_on, zipped):
    network.write("data/model.pt2", program(zipped, GRAPH | {"guards_code": ["L['x'] or os.system('id')"]}))
    assert verdict_on(network).reason == "safety.not_allowed"


def test_a_tensor_that_is_a_pickle_fails(network, verdict_on, zipped):
    listed = {"config": {"0.weight": {"path_name": "weight_0", "use_pickle": True}}}
    network.write("data/model.pt2", program(zipped, weights=listed))
    assert verdict_on(network).reason == "safety.not_allowed"


def test_a_graph_that_is_no_json_fails(network, verdict_on, zipped):
    network.write("data/model.pt2", program(zipped, **{"model/models/model.json": "{"}))
    assert verdict_on(network).reason == "safety.not_allowed"


def test_a_library_beside_the_graph_fails(network, verdict_on, zipped):
    network.write("data/model.pt2", program(zipped, **{"model/data/aotinductor/model/x.so": b"\x7fELF"}))
    assert verdict_on(network).reason == "safety.code"


def test_a_pickle_in_place_of_a_tensor_is_judged(network, verdict_on, zipped):
    class Harm:
        def __reduce__(self):
            import os

            return os.system, ("id",)

    network.write("data/model.pt2", program(zipped, **{"model/data/weights/weight_1": pickle.dumps(Harm())}))
    assert verdict_on(network).outcome is Outcome.FAILED


@pytest.mark.parametrize("name", ["os", "my_package.pickle_module"])
def test_a_module_that_mlflow_would_import_for_it_fails(name, network, verdict_on, zipped):
    network.write("data/model.pt2", program(zipped))
    network.write("data/pickle_module_info.txt", name)
    assert verdict_on(network).reason == "safety.loader_not_allowed"
    network.write("data/pickle_module_info.txt", "mlflow.pytorch.pickle_module")
    network.mlmodel(flavor="pytorch", python={"pickle_module_name": name})
    assert verdict_on(network).reason == "safety.loader_not_allowed"


DENSE = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"activation": "relu"},
    "registered_name": None,
}


def keras(zipped, *layers):
    """A model.keras with these layers."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": layers}}
    return zipped({"metadata.json": "{}", "config.json": json.dumps(config)})


@pytest.fixture
def keras_folder(folder):
    folder.mlmodel(flavor="tensorflow", python={"data": "data"}, conf={"data": "data"})
    folder.write("data/keras_module.txt", "tensorflow.keras")
    return folder


def test_kerass_own_layers_pass(keras_folder, verdict_on, zipped):
    keras_folder.write("data/model.keras", keras(zipped, DENSE))
    assert verdict_on(keras_folder).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "keras.layers", "class_name": "Lambda", "config": {}},
        {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}},
        {"module": "my_package", "class_name": "Layer", "config": {}, "registered_name": "mine>Layer"},
        {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
        {"module": "os", "class_name": "system", "config": {}},
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "model"}},
        {"class_name": "Dense", "config": {}},
    ],
)
def test_a_layer_that_is_code_or_not_kerass_own_fails(layer, keras_folder, verdict_on, zipped):
    nested = {"module": "keras.layers", "class_name": "TimeDistributed", "config": {"layer": layer}}
    keras_folder.write("data/model.keras", keras(zipped, DENSE, nested))
    assert verdict_on(keras_folder).reason == "safety.network_code"


def test_another_keras_fails(keras_folder, verdict_on, zipped):
    keras_folder.write("data/model.keras", keras(zipped, DENSE))
    keras_folder.write("data/keras_module.txt", "my_package.keras")
    assert verdict_on(keras_folder).reason == "safety.loader_not_allowed"


@pytest.mark.parametrize("outward", ["link", "soft link", "external", "virtual", ""])
def test_weights_that_lead_to_another_file_fail(outward, keras_folder, verdict_on, zipped):
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as weights:
        weights["layers/dense/vars/0"] = [1.0, 2.0]
        if outward == "link":
            weights["layers/other"] = h5py.ExternalLink("/etc/passwd", "x")
        elif outward == "soft link":
            weights["layers/other"] = h5py.SoftLink("/layers/dense")
        elif outward == "external":
            weights.create_dataset("layers/other", (4,), "u1", external=[("/etc/passwd", 0, 4)])
        elif outward == "virtual":
            layout = h5py.VirtualLayout((4,), "u1")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
            weights.create_virtual_dataset("layers/other", layout)
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [DENSE]}}
    archive = {"metadata.json": "{}", "config.json": json.dumps(config), "model.weights.h5": file.getvalue()}
    keras_folder.write("data/model.keras", zipped(archive))
    verdict = verdict_on(keras_folder)
    assert verdict.reason == "safety.external_data" if outward else verdict.outcome is Outcome.PASSED
