"""skops files: every type must be on the operator's list, whatever the model's own list says."""

import io
import json
import pickle
import zipfile

import pytest

from lifecycle.domain.verdict import Outcome

pytestmark = pytest.mark.slow  # imports skops and scikit-learn


@pytest.fixture(scope="module")
def genuine():
    """A fitted pipeline, as skops writes it: its entries."""
    import skops.io
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=3, random_state=0))
    content = skops.io.dumps(model.fit(*load_iris(return_X_y=True)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def tampered(genuine, zipped):
    """The genuine file with a node put into the state of the pipeline."""

    def build(node, protocol=None, entries=None):
        schema = json.loads(genuine["schema.json"])
        schema["content"]["content"]["planted"] = node
        schema["content"]["key_types"]["content"].append(TEXT)
        if protocol is not None:
            schema["protocol"] = protocol
        return zipped({**genuine, **(entries or {}), "schema.json": json.dumps(schema)})

    return build


def node(kind, module, name, **more):
    return {"__loader__": kind, "__module__": module, "__class__": name, **more}


TEXT = node("TypeNode", "builtins", "str")


def constant(value):
    return node("JsonNode", "builtins", "str", content=json.dumps(value), is_json=True)


def pack(*nodes):
    return node("TupleNode", "builtins", "tuple", content=list(nodes))


def mapping(**nodes):
    names = node("ListNode", "builtins", "list", content=[TEXT for _ in nodes])
    return node("DictNode", "builtins", "dict", content=nodes, key_types=names)


def planted(canary):
    """Nodes that touch the canary when loaded, with the types that the model's own list would name."""
    code = f"open({str(canary)!r}, 'w').close()"
    shell = f"touch {canary}"
    scaler = node("ObjectNode", "sklearn.preprocessing._data", "StandardScaler", content=mapping(os=constant(1)))
    system = node("FunctionNode", "posix", "system")
    distribution = mapping(_parse_arg_template=constant(code))
    return {
        "eval": (
            node("ConstructorFromReduceNode", "builtins", "eval", content=pack(constant(code))),
            ["builtins.eval"],
        ),
        "os.system": (
            node("ConstructorFromReduceNode", "posix", "system", content=pack(constant(shell))),
            ["posix.system"],
        ),
        "a list of a strange type": (node("ListNode", "posix", "system", content=[]), ["posix.system"]),
        "a state that is code": (
            node("ObjectNode", "scipy.stats._continuous_distns", "norm_gen", content=distribution),
            ["scipy.stats._continuous_distns.norm_gen"],
        ),
        "a function to be called later": (
            node(
                "PartialNode",
                "functools",
                "partial",
                content={
                    "func": system,
                    "args": pack(constant(shell)),
                    "kwds": mapping(),
                    "namespace": constant(None),
                },
            ),
            ["posix.system", "functools.partial"],
        ),
        "a function": (system, ["posix.system"]),
        "a type": (node("TypeNode", "subprocess", "Popen"), ["subprocess.Popen"]),
        "a method": (
            node(
                "MethodNode",
                "sklearn.preprocessing._data",
                "StandardScaler",
                content={"func": "fit", "obj": scaler},
            ),
            ["sklearn.preprocessing._data.StandardScaler.fit", "sklearn.preprocessing._data.StandardScaler"],
        ),
        "an operator": (
            node("OperatorFuncNode", "operator", "methodcaller", attrs=pack(constant("system"), constant(shell))),
            ["operator.methodcaller"],
        ),
        "another random generator": (
            node(
                "RandomGeneratorNode",
                "numpy.random._generator",
                "Generator",
                content={"bit_generator": mapping(bit_generator=constant("seed")), "seed_seq": mapping()},
            ),
            ["numpy.random.seed"],
        ),
        "a random generator without a name": (
            node("RandomGeneratorNode", "numpy.random._generator", "Generator", content={}),
            [],
        ),
        "a loss that is none": (
            node("LossNode", "subprocess", "Popen", __reduce__={"args": pack()}, content=mapping()),
            ["subprocess.Popen"],
        ),
        "a node of a kind to come": (node("EvilNode", "builtins", "list", content=[]), []),
        "a node below an unknown key": (mapping(x={"y": [{"z": system}]}), ["posix.system"]),
    }


@pytest.mark.parametrize("plant", planted("x"))
def test_no_tampered_file_passes_though_its_own_list_trusts_it(plant, tampered, folder, verdict_on, canary):
    evil, types = planted(canary)[plant]
    folder.write("model.skops", tampered(evil))
    folder.mlmodel(
        python={"model_path": "model.skops"}, conf={"pickled_model": "model.skops", "skops_trusted_types": types}
    )
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.not_allowed")
    assert "model.skops" in verdict.message
    assert not canary.exists()


@pytest.mark.parametrize("plant", ["eval", "os.system", "a state that is code"])
def test_each_of_them_would_have_run(plant, tampered, canary):
    """Or the test above would prove nothing: MLflow hands the model's own list to skops."""
    import skops.io

    evil, types = planted(canary)[plant]
    trusted = [*types, "sklearn.tree._tree.Tree"]
    try:
        skops.io.loads(tampered(evil), trusted=trusted)
    except Exception:
        assert canary.exists()
    assert canary.exists()


def test_a_genuine_file_passes(genuine, zipped, folder, verdict_on):
    folder.write("model.pkl", zipped(genuine))
    folder.write("compressed.skops", zipped(genuine, zipfile.ZIP_DEFLATED))
    verdict = verdict_on(folder)
    assert verdict.outcome is Outcome.PASSED, verdict.message


def test_the_operators_own_types_pass(tampered, folder, verdict_on):
    folder.write("model.pkl", tampered(node("ObjectNode", "my_package.steps", "Clip", content=mapping())))
    assert verdict_on(folder).reason == "safety.not_allowed"
    assert verdict_on(folder, allow=["my_package.steps.Clip"]).outcome is Outcome.PASSED


@pytest.mark.parametrize("protocol", [0, 3, -1, True, "2", 1.0, None])
def test_a_protocol_that_is_not_known_fails(protocol, genuine, zipped, folder, verdict_on):
    """In protocol 0 the name of a function stands where no later one has it."""
    schema = json.loads(genuine["schema.json"]) | {"protocol": protocol}
    folder.write("model.pkl", zipped({**genuine, "schema.json": json.dumps(schema)}))
    assert verdict_on(folder).reason == "safety.not_allowed"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_schema_in_another_encoding_does_not_pass(encoding, tampered, genuine, zipped, folder, verdict_on):
    schema = json.loads(genuine["schema.json"])
    schema["content"]["content"]["planted"] = node("FunctionNode", "posix", "system")
    folder.write("model.pkl", zipped({**genuine, "schema.json": json.dumps(schema).encode(encoding)}))
    assert verdict_on(folder).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "schema",
    [
        "{",
        "[" * 100_000,
        json.dumps({"__loader__": "ListNode"}),
        json.dumps({"__loader__": "ListNode", "__module__": None, "__class__": 3, "protocol": 2}),
    ],
)
def test_a_schema_that_is_none_fails(schema, zipped, folder, verdict_on):
    folder.write("model.pkl", zipped({"schema.json": schema}))
    assert verdict_on(folder).outcome is Outcome.FAILED


def test_a_pickle_in_an_array_of_objects_is_found(genuine, tampered, folder, verdict_on, evil, canary):
    import numpy as np

    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    array = node("NdArrayNode", "numpy", "ndarray", type="numpy", file="1.npy")
    folder.write("model.pkl", tampered(array, entries={"1.npy": buffer.getvalue() + evil}))
    assert verdict_on(folder).reason == "safety.not_allowed"
    assert not canary.exists()


def test_bytes_of_the_models_own_are_bytes(tampered, folder, verdict_on):
    raw = node("BytesNode", "builtins", "bytes", file="1.bin")
    folder.write("model.pkl", tampered(raw, entries={"1.bin": b"\x00\x01\x02"}))
    assert verdict_on(folder).outcome is Outcome.PASSED
    folder.write("model.pkl", tampered(constant(1), entries={"1.bin": b"\x00\x01\x02"}))
    assert verdict_on(folder).reason == "safety.unknown_format"


def test_a_pickle_under_the_name_of_a_skops_file_is_judged_as_a_pickle(folder, verdict_on, evil):
    """skops up to 0.12 handed such a file to joblib, which unpickled it (CVE-2025-54886)."""
    folder.write("model.skops", evil)
    assert verdict_on(folder).reason == "safety.not_allowed"
    folder.write("model.skops", pickle.dumps([1]))
    assert verdict_on(folder).outcome is Outcome.PASSED
