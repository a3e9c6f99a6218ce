"""The runner alone, over a small model that adds up its inputs: x + n + b, and 100 where the text is missing."""

from __future__ import annotations

import hashlib
import io
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lifecycle.bundle import runner as runner_module
from lifecycle.bundle.cache import pack_bundle, write_bundle
from lifecycle.bundle.proof import _packed
from lifecycle.bundle.runner import BundleRefused, RowsRefused, Runner, _tensor, main, read_members
from lifecycle.domain.deployment import DeploymentSpec, ModelSource, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.errors import IntegrityError
from lifecycle.scoring.compiled import CompiledModel, read_compiled
from lifecycle.scoring.signature import Column, InvalidInput, Signature
from lifecycle.scoring.values import coerce

SIGNATURE = Signature(
    (
        Column("x", "double"),
        Column("n", "long"),
        Column("b", "boolean"),
        Column("t", "string", required=False),
    )
)
GOLDEN = {
    "x": np.array([0.5, np.nan]),
    "n": np.array([1, 2]),
    "b": np.array([True, False]),
    "t": np.array(["a", None], dtype=object),
}
EXPECTED = np.array([[2.5], [np.nan]])
ROWS = {"x": [1.0, 2.0], "n": [1, 2], "b": [True, False], "t": ["a", None]}


def onnx_model() -> bytes:
    types = {"x": "DOUBLE", "n": "INT64", "b": "BOOL", "t": "STRING"}
    inputs = [helper.make_tensor_value_info(k, getattr(TensorProto, v), [None, 1]) for k, v in types.items()]
    output = helper.make_tensor_value_info("sum", TensorProto.DOUBLE, [None, 1])
    constants = {"marker": np.array("nan", dtype=object), "many": np.array(100.0), "none": np.array(0.0)}
    nodes = [
        helper.make_node("Cast", ["n"], ["n_"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["b"], ["b_"], to=TensorProto.DOUBLE),
        helper.make_node("Equal", ["t", "marker"], ["is_missing"]),
        helper.make_node("Where", ["is_missing", "many", "none"], ["t_"]),
        helper.make_node("Sum", ["x", "n_", "b_", "t_"], ["sum"]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "sum", inputs, [output], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    return model.SerializeToString()


@pytest.fixture
def compiled(tmp_path) -> Path:
    folder = tmp_path / "compiled"
    folder.mkdir()
    only = {"output": "sum", "name": "", "dtype": "float64", "row_shape": [1], "tolerance": 1e-6}
    scorer = {"answer": "array", "outputs": [only], "matrix": None, "missing_text": "nan"}
    write_bundle(folder, CompiledModel("0" * 64, SIGNATURE.as_dict(), scorer, onnx_model()), GOLDEN, EXPECTED)
    return folder


@pytest.fixture
def spec(tmp_path) -> DeploymentSpec:
    return spec_of("gate-7", ModelRef("sum", version=3), "0" * 64)


def spec_of(name: str, ref: ModelRef, digest: str) -> DeploymentSpec:
    return DeploymentSpec(name, ref, (Variant(3, ModelSource("models:/sum/3", digest), compiled=True),))


@pytest.fixture
def bundle(tmp_path, spec, compiled) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack_bundle(compiled, "sum", 3))
    return path


def repacked(path: Path, change) -> Path:
    """The bundle with its members changed by ``change(members)``, packed in the same way."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in sorted(members.items()):
            new.writestr(zipfile.ZipInfo(name), content)
    return path


def test_the_runner_answers_lists_and_arrays_alike(bundle):
    runner = Runner(bundle)
    assert runner.predict(ROWS).tolist() == [[3.0], [104.0]]
    arrays = {name: np.array(values) for name, values in ROWS.items()}
    assert runner.predict(arrays | {"more": np.zeros(2)}).tolist() == [[3.0], [104.0]]
    assert runner.predict({name: [] for name in ROWS}).shape == (0, 1)


@pytest.mark.parametrize(
    ("kind", "values", "taken"),
    [
        ("float32", [[1, 2.5]], True),
        ("int32", [[1.0, 2]], True),
        ("int32", [[1.5, 2]], False),
        ("int32", [[1, 2**40]], False),
        ("uint8", [[-1, 2]], False),
        ("bool", [[True, False]], True),
        ("bool", [[1, 0]], False),
        ("float32", [[True, False]], False),
        ("float32", [["1", "2"]], False),
        ("float32", [[1, 2, 3]], False),
        ("float32", [[1], [2, 3]], False),
        ("float32", [1, 2], False),
    ],
)
def test_a_tensor_is_taken_where_no_value_is_changed(kind, values, taken):
    column = {"name": "", "type": kind, "shape": [-1, 2]}
    if taken:
        assert _tensor(column, values).dtype == kind
        assert _tensor(column, values).tolist() == values
    else:
        with pytest.raises(RowsRefused):
            _tensor(column, values)


def test_a_bundle_of_the_first_format_still_answers(bundle):
    def write_as_before(members):
        manifest = json.loads(members["manifest.json"])
        (only,) = manifest["scorer"].pop("outputs")
        manifest["scorer"] |= {key: only[key] for key in ("output", "dtype", "row_shape", "tolerance")}
        golden = json.loads(members["golden.json"])
        members["golden.json"] = json.dumps(golden | {"predictions": golden["predictions"][""]}).encode()
        digest = hashlib.sha256(members["golden.json"]).hexdigest()
        manifest["members"]["golden.json"] = {"bytes": len(members["golden.json"]), "sha256": digest}
        members["manifest.json"] = json.dumps({**manifest, "format": 1}).encode()

    assert Runner(repacked(bundle, write_as_before)).predict(ROWS).tolist() == [[3.0], [104.0]]


def test_a_missing_text_is_what_the_compiled_scorer_makes_of_it_and_a_missing_number_is_nan(bundle):
    rows = {"x": [None, 1.0, 1.0], "n": [1, 1, 1], "b": [False] * 3}
    answer = Runner(bundle).predict(rows)
    assert np.isnan(answer[0, 0])
    assert answer[1:].tolist() == [[102.0], [102.0]]
    assert Runner(bundle).predict(rows | {"t": ["", float("nan"), "a"]})[1:].tolist() == [[102.0], [2.0]]


VALUES = [
    0,
    1,
    -1,
    1.0,
    1.5,
    True,
    False,
    None,
    float("nan"),
    float("inf"),
    "1",
    "a",
    "",
    2**31,
    2**63,
    10**400,
    [1],
]


@pytest.mark.parametrize("kind", ["double", "float", "long", "integer", "boolean", "string"])
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_the_device_takes_and_refuses_the_same_values_as_every_other_way_in(kind, value):
    cells = np.empty(1, dtype=object)
    cells[0] = value
    column = {"name": "x", "type": kind, "shape": None, "required": True}
    try:
        expected = coerce(Column("x", kind), cells)
    except (InvalidInput, OverflowError):
        with pytest.raises(RowsRefused):
            runner_module._typed(column, cells, "nan")
    else:
        got = runner_module._typed(column, cells, "nan")
        assert got.dtype == expected.dtype
        text = ["nan" if cell is None else cell for cell in expected.tolist()] if kind == "string" else expected
        np.testing.assert_array_equal(got, text)


@pytest.mark.parametrize(
    "change",
    [
        {"n": [1]},
        {"n": None},
        {"n": [1, None]},
        {"n": [1, 1.5]},
        {"b": [1, 0]},
        {"x": ["1", "2"]},
        {"t": [1, 2]},
        {"x": [[1], [2]]},
        {"x": 1.0},
        {"t": "ab"},
    ],
    ids=str,
)
def test_rows_that_do_not_fit_are_refused_and_not_quoted(bundle, change):
    rows = {name: values for name, values in (ROWS | change).items() if values is not None}
    with pytest.raises(RowsRefused) as refusal:
        Runner(bundle).predict(rows)
    assert "1.5" not in str(refusal.value)


JSON = {
    "split": {"dataframe_split": {"columns": list(ROWS), "data": [[1.0, 1, True, "a"], [2.0, 2, False, None]]}},
    "records": {"dataframe_records": [{"x": 1.0, "n": 1, "b": True, "t": "a"}, {"n": 2, "x": 2.0, "b": False}]},
    "inputs": {"inputs": ROWS},
    "unnamed": {"dataframe_split": {"data": [[1.0, 1, True, "a"], [2.0, 2, False, None]]}},
}


@pytest.mark.parametrize("shape", JSON)
def test_the_command_line_reads_mlflows_json(bundle, tmp_path, shape):
    (tmp_path / "rows.json").write_text(json.dumps(JSON[shape]))
    out = tmp_path / "predictions.json"
    assert main([str(bundle), "--input", str(tmp_path / "rows.json"), "--output", str(out)]) == 0
    assert json.loads(out.read_text()) == {"predictions": [[3.0], [104.0]]}


def test_the_command_line_reads_csv_with_quotes_blank_lines_and_missing_cells(bundle, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text('\ufeffn,t,b,x,more\n1,"a,b",TRUE, 1.0,z\n\n2,,false,,z\n')
    assert main([str(bundle), "--input", str(tmp_path / "rows.csv")]) == 0
    assert json.loads(capsys.readouterr().out) == {"predictions": [[3.0], [None]]}


def test_a_prediction_that_json_cannot_hold_is_null(bundle, tmp_path, capsys):
    (tmp_path / "rows.json").write_text('{"inputs": {"x": 1e400, "n": 1, "b": true}}')
    assert main([str(bundle), "--input", str(tmp_path / "rows.json")]) == 0
    assert json.loads(capsys.readouterr().out) == {"predictions": [[None]]}


BAD_JSON = [b"", b"[", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": {"x": [NaN]}}', b"[" * 100_000, b"\xff"]
BAD_JSON += [b'{"dataframe_records": [], "inputs": {}}', b'{"dataframe_split": {"columns": ["x"], "data": ["1"]}}']
BAD_JSON += [b'{"dataframe_split": {"columns": ["x", "x"], "data": [[1, 2]]}}', b'{"dataframe_records": [1]}']


@pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: body[:20])
def test_a_body_that_is_no_rows_is_one_line_and_no_traceback(bundle, tmp_path, capsys, body):
    (tmp_path / "rows.json").write_bytes(body)
    assert main([str(bundle), "--input", str(tmp_path / "rows.json")]) in (1, 2)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    "text", ["", "x,n\n1\n", "x,x\n1,2\n", "x,n,b,t\nfour,1,true,a\n", "x,n,b,t\n1,1,maybe,a\n"]
)
def test_csv_that_does_not_fit_is_refused(bundle, tmp_path, capsys, text):
    (tmp_path / "rows.csv").write_text(text)
    assert main([str(bundle), "--input", str(tmp_path / "rows.csv")]) == 2
    assert "four" not in capsys.readouterr().err


def test_a_missing_file_is_one_line(bundle, tmp_path, capsys):
    assert main([str(tmp_path / "no.zip")]) == 1
    assert main([str(bundle), "--input", str(tmp_path / "no.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_the_same_version_gives_the_same_bytes_under_any_name_and_reference(spec, compiled, bundle):
    other = spec_of("other", ModelRef("sum", stage="Production"), "0" * 64)
    assert _packed(other, compiled) == bundle.read_bytes()


def test_a_compiled_model_of_another_snapshot_is_not_packed(spec, compiled):
    stranger = spec_of("gate-7", spec.ref, "1" * 64)
    with pytest.raises(IntegrityError, match="compiled"):
        _packed(stranger, compiled)


def test_the_manifest_vouches_for_every_other_member(bundle):
    members = read_members(bundle)
    assert sorted(members) == ["golden.json", "manifest.json", "model.onnx", "run.py"]
    listed = json.loads(members["manifest.json"])["members"]
    assert sorted([*listed, "manifest.json"]) == sorted(members)
    assert members["run.py"] == Path(runner_module.__file__).read_bytes()


@pytest.mark.parametrize("name", ["golden.json", "manifest.json", "model.onnx", "run.py"])
def test_a_member_with_one_flipped_bit_is_refused_even_when_it_is_packed_anew(bundle, name):
    intact = bundle.read_bytes()
    size = len(read_members(bundle)[name])
    shuffle = random.Random(name)
    for _ in range(40):
        bundle.write_bytes(intact)
        position, bit = shuffle.randrange(size), 1 << shuffle.randrange(8)

        def flip(members, position=position, bit=bit):
            content = bytearray(members[name])
            content[position] ^= bit
            members[name] = bytes(content)

        if name == "manifest.json":  # packed anew it would be another bundle, which only a signature can tell
            at = intact.index(b'{\n "digest"') + position
            bundle.write_bytes(intact[:at] + bytes([intact[at] ^ bit]) + intact[at + 1 :])
        else:
            repacked(bundle, flip)
        with pytest.raises(BundleRefused):
            Runner(bundle)


def test_a_bit_flipped_anywhere_in_the_file_is_refused_or_changes_no_answer(bundle):
    intact = bundle.read_bytes()
    shuffle = random.Random(7)
    for _ in range(200):
        damaged = bytearray(intact)
        damaged[shuffle.randrange(len(damaged))] ^= 1 << shuffle.randrange(8)
        bundle.write_bytes(damaged)
        try:
            answer = Runner(bundle).predict(ROWS)
        except BundleRefused:
            continue
        assert answer.tolist() == [[3.0], [104.0]]


def test_a_file_that_was_cut_short_or_has_something_before_or_behind_is_refused(bundle):
    intact = bundle.read_bytes()
    for content in (b"\n" + intact, intact + b"\n", intact + intact):
        bundle.write_bytes(content)
        with pytest.raises(BundleRefused):
            Runner(bundle)
    for length in range(0, len(intact), 997):
        bundle.write_bytes(intact[:length])
        with pytest.raises(BundleRefused):
            Runner(bundle)


def rename(members):
    members["../run.py"] = members.pop("run.py")


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("golden.json"),
        lambda members: members.pop("manifest.json"),
        lambda members: members.update(extra=b""),
        lambda members: members.update({"run.py/": b""}),
        lambda members: members.update({"RUN.PY": b""}),
        rename,
        lambda members: members.update({"manifest.json": b"{}"}),
        lambda members: members.update({"manifest.json": b"[" * 100_000}),
        lambda members: members.update({"manifest.json": members["manifest.json"].replace(b"inputs", b"outputs")}),
        lambda members: members.update(
            {"manifest.json": members["manifest.json"].replace(b'"format": 2', b'"format": 3')}
        ),
        lambda members: members.update({"manifest.json": members["manifest.json"].replace(b'"run.py"', b'"run"')}),
    ],
)
def test_a_bundle_with_other_members_than_it_should_have_is_refused(bundle, change):
    with pytest.raises(BundleRefused):
        Runner(repacked(bundle, change))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_or_compressed_is_refused(bundle):
    members = read_members(bundle)
    for compression, names in ((zipfile.ZIP_STORED, [*members, "run.py"]), (zipfile.ZIP_DEFLATED, members)):
        with zipfile.ZipFile(bundle, "w", compression) as new:
            for name in sorted(names):
                new.writestr(name, members[name])
        with pytest.raises(BundleRefused):
            Runner(bundle)


def test_a_device_that_computes_something_else_is_noticed_before_it_answers(spec, compiled, tmp_path):
    wrong = tmp_path / "wrong.zip"
    write_bundle(compiled, read_compiled(compiled), GOLDEN, EXPECTED + 1e-4)
    wrong.write_bytes(pack_bundle(compiled, "sum", 3))
    with pytest.raises(BundleRefused, match="differently"):
        Runner(wrong)


def test_a_device_with_nothing_but_numpy_and_onnxruntime_runs_what_is_in_the_bundle(bundle, tmp_path):
    with zipfile.ZipFile(io.BytesIO(bundle.read_bytes())) as members:
        members.extract("run.py", tmp_path)
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "run.py"), str(bundle)],
        input=json.dumps(JSON["split"]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"predictions": [[3.0], [104.0]]}
    assert not {"lifecycle", "mlflow", "pandas", "sklearn", "pydantic", "yaml"} & set(done.stderr.split())
