"""Models of tensors give the same predictions at every target and in every protocol, compiled and by pyfunc."""

from __future__ import annotations

import http.client
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from mlflow.deployments.cli import commands as mlflow_deployments
from mlflow_lifecycle.deployments import LifecycleDeploymentClient

from lifecycle.assembly import assemble
from lifecycle.cli.deployments import deployments
from lifecycle.errors import DeploymentFailed
from lifecycle.scoring.contract import Batch, Fields, Predictions
from lifecycle.scoring.equality import agree, by_name
from lifecycle.scoring.payload import ARROW, PARQUET
from lifecycle.scoring.tensor_rows import list_column
from lifecycle.serving.codecs.v2_tensors import DATATYPES, datatype_of
from lifecycle.targets.batch import BatchTarget
from lifecycle.targets.edge import EdgeTarget
from lifecycle.targets.rest import RestTarget
from lifecycle.testing.target_contract import folder_context
from tests import flavors
from tests.flavors import FlavorModel
from tests.proof import some

pytestmark = pytest.mark.slow

MODELS = (flavors.torch_images, flavors.keras_two_inputs, flavors.onnx_two_outputs)
ALL = [(make, how) for make in MODELS for how in ("compiled", "pyfunc")]
CASES = some(ALL, (MODELS[0], "compiled"), (MODELS[1], "compiled"), (MODELS[2], "compiled"), (MODELS[2], "pyfunc"))
ROWS = ["clean rows", "one row", "1,000 rows"]
LENGTH = "inference-header-content-length"


def ident(value: object) -> str | None:
    return getattr(value, "__name__", None)


def name_of(make: Callable[[], object], how: str) -> str:
    """Of the deployment, and so of the model in addresses."""
    return f"{make.__name__.replace('_', '-')}-{how}"


@pytest.fixture
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlavorModel:
    return flavors.made(tmp_path_factory, request.getfixturevalue("make"))


@pytest.fixture
def address(rest: RestTarget, make, how, model, monkeypatch) -> str:
    """Of a server of the model, which the tests after it use too."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    return rest.deploy(model.spec(name_of(make, how), {}, pyfunc=how == "pyfunc")).address


def post(address: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    headers, content = {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    assert answer.status == 200, content[:300]
    return headers, content


def plain(rows: Batch) -> object:
    """As JSON has it: an object by name, or the bare tensor where it has no name."""
    named = {name: values.tolist() for name, values in rows.items()}
    return named.get("", named)


def over_json(address: str, _: str, rows: Batch) -> object:
    body = json.dumps({"inputs": plain(rows)}).encode()
    return json.loads(post(address, "/invocations", body, {"Content-Type": "application/json"})[1])["predictions"]


def over_tf_columns(address: str, name: str, rows: Batch) -> object:
    body = json.dumps({"inputs": plain(rows)}).encode()
    return json.loads(post(address, f"/v1/models/{name}:predict", body, {})[1])["outputs"]


def over_tf_rows(address: str, name: str, rows: Batch) -> object:
    content = plain(rows)
    if isinstance(content, dict):
        content = [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
    body = json.dumps({"instances": content}).encode()
    found = json.loads(post(address, f"/v1/models/{name}:predict", body, {})[1])["predictions"]
    return {key: [row[key] for row in found] for key in found[0]} if isinstance(found[0], dict) else found


def over_v2(address: str, name: str, rows: Batch, *, binary: bool) -> dict[str, np.ndarray]:
    inputs, tails = [], []
    for own, values in rows.items():
        tensor = {"name": own or "input-0", "datatype": datatype_of(values.dtype), "shape": values.shape}
        if binary:
            tails.append(values.tobytes())
            tensor["parameters"] = {"binary_data_size": len(tails[-1])}
        else:
            tensor["data"] = values.ravel().tolist()
        inputs.append(tensor)
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": binary}}).encode()
    sent = {LENGTH: str(len(head))} if binary else {}
    headers, content = post(address, f"/v2/models/{name}/infer", head + b"".join(tails), sent)
    length = int(headers.get(LENGTH, len(content)))
    found, start = {}, length
    for output in json.loads(content[:length])["outputs"]:
        dtype = DATATYPES[output["datatype"]]
        if binary:
            size = output["parameters"]["binary_data_size"]
            values, start = np.frombuffer(content[start : start + size], dtype), start + size
        else:
            values = np.array(output["data"], dtype)
        found[output["name"]] = values.reshape(output["shape"])
    return found


def table_of(rows: Batch) -> pa.Table:
    """A column of lists for each tensor."""
    return pa.table({name or "input": list_column(values) for name, values in rows.items()})


def over_table(address: str, rows: Batch, content_type: str) -> object:
    sink, table = io.BytesIO(), table_of(rows)
    if content_type == PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    answer = post(address, "/invocations", sink.getvalue(), {"Content-Type": content_type})[1]
    return json.loads(answer)["predictions"]


OVER_REST: dict[str, Callable[[str, str, Batch], object]] = {
    "JSON": over_json,
    "V2 JSON": lambda address, name, rows: over_v2(address, name, rows, binary=False),
    "V2 binary": lambda address, name, rows: over_v2(address, name, rows, binary=True),
    "TF rows": over_tf_rows,
    "TF columns": over_tf_columns,
    "Parquet": lambda address, _, rows: over_table(address, rows, PARQUET),
    "Arrow": lambda address, _, rows: over_table(address, rows, ARROW),
}


def typed(found: object, expected: Predictions) -> Predictions:
    """An answer as predictions, with the types of the expected ones."""
    parts = by_name(expected)
    if isinstance(expected, np.ndarray):
        found = next(iter(found.values())) if isinstance(found, dict) else found
        return np.asarray(found, expected.dtype)
    assert isinstance(found, dict)
    return Fields({name: np.asarray(found[name], values.dtype) for name, values in parts.items()})


@pytest.mark.parametrize("protocol", OVER_REST)
@pytest.mark.parametrize(("make", "how"), CASES, ids=ident)
def test_over_rest(make, how, protocol, model, address):
    for name in ROWS:
        rows, expected = model.answers[name]
        found = OVER_REST[protocol](address, name_of(make, how), rows)
        assert agree(expected, typed(found, expected)), name


@pytest.mark.parametrize(("make", "how"), CASES, ids=ident)
def test_by_the_target_itself(make, how, model, address, rest):
    for name in ROWS:
        rows, expected = model.answers[name]
        got = rest.predict(name_of(make, how), rows)
        assert isinstance(got, Fields) == isinstance(expected, Fields)
        assert agree(expected, typed(got, expected)), name


def in_parquet(rows: Batch, folder: Path) -> Path:
    pq.write_table(table_of(rows), folder / "rows.parquet", row_group_size=128)
    return folder / "rows.parquet"


def in_arrays(rows: Batch, folder: Path) -> Path:
    """Rows in a file, and the last row in one of its own."""
    (values,) = rows.values()
    np.save(folder / "a.npy", values[:-1])
    np.save(folder / "b.npy", values[-1])
    return folder / "*.npy"


def predictions_in(output: Path, expected: Predictions) -> Predictions:
    table = pq.read_table(output)
    if isinstance(expected, np.ndarray):
        return np.column_stack([table[name] for name in table.column_names]).astype(expected.dtype)
    return typed(table.to_pydict(), expected)


@pytest.mark.parametrize("write", [in_parquet, in_arrays], ids=ident)
@pytest.mark.parametrize(("make", "how"), CASES, ids=ident)
def test_in_batch(make, how, write, model, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    target = BatchTarget(folder_context(tmp_path / "home"))
    for number, name in enumerate(ROWS):
        rows, expected = model.answers[name]
        folder, output = tmp_path / f"input-{number}", tmp_path / f"output-{number}"
        folder.mkdir()
        if write is in_arrays and len(rows) > 1:
            np.save(folder / "a.npy", next(iter(rows.values())))
            options = {"input": str(folder), "output": str(output)}
            with pytest.raises(DeploymentFailed, match="holds one tensor, and the model takes 2 tensors"):
                target.deploy(model.spec("refused", options, pyfunc=how == "pyfunc"))
            return
        options = {"input": str(write(rows, folder)), "output": str(output), "chunk_rows": "300"}
        deployed = target.deploy(model.spec(f"rows-{number}", options, pyfunc=how == "pyfunc"))
        count = len(next(iter(rows.values())))
        assert (deployed.figures["rows_out"], deployed.figures["scorer"]) == (count, how)
        assert agree(expected, predictions_in(output, expected)), name


@pytest.mark.parametrize(
    ("make", "how"), some(ALL, (MODELS[2], "compiled"), *((make, "pyfunc") for make in MODELS)), ids=ident
)
def test_on_the_edge(make, how, model, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    target = EdgeTarget(folder_context(tmp_path / "home"))
    spec = model.spec("device", {"output": str(tmp_path / "device.zip")}, pyfunc=how == "pyfunc")
    if how == "pyfunc":
        with pytest.raises(DeploymentFailed, match="cannot be compiled"):
            target.deploy(spec)
        return
    target.deploy(spec)
    for name in ROWS:
        rows, expected = model.answers[name]
        assert agree(expected, typed(target.predict("device", rows), expected)), name


def test_rows_that_do_not_fit_are_rejected_alone(tmp_path, tmp_path_factory):
    model = flavors.made(tmp_path_factory, flavors.torch_images)
    rows, expected = model.answers["clean rows"]
    cells = [*rows[""].tolist(), None, [[[1.0] * 8] * 7], [[[1.0] * 8] * 7 + [[None] * 8]]]
    pq.write_table(pa.table({"input": cells, "id": range(9)}), tmp_path / "rows.parquet")
    options = {"input": str(tmp_path / "rows.parquet"), "output": str(tmp_path / "output"), "keep": "id"}
    BatchTarget(folder_context(tmp_path / "home")).deploy(model.spec("rows", options, pyfunc=False))
    scored = pq.read_table(tmp_path / "output")
    assert scored["id"].to_pylist() == list(range(6))
    assert agree(expected, np.column_stack([scored[f"prediction_{i}"] for i in range(10)]).astype(np.float32))
    rejected = pd.read_parquet(tmp_path / "output" / "_rejected")
    assert list(zip(rejected["row"], rejected["reason"], rejected["column"], strict=True)) == [
        (7, "missing_value", "input"),
        (8, "unfit_value", "input"),
        (9, "missing_value", "input"),
    ]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LifecycleDeploymentClient:
    """MLflow's client of batch deployments, in a home of its own."""
    (tmp_path / "lifecycle.yaml").touch()
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(tmp_path / "lifecycle.yaml"))
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    return LifecycleDeploymentClient("lifecycle:/batch")


@pytest.mark.parametrize("make", MODELS, ids=ident)
def test_by_every_command_and_client_that_takes_a_frame(make, model, client, tmp_path):
    shutil.copytree(model.snapshot.path.parent, tmp_path / "home" / "snapshots")
    shutil.copytree(model.compiled.parent, tmp_path / "home" / "compiled")
    rows, expected = model.answers["clean rows"]
    path, json_path = str(in_parquet(rows, tmp_path)), str(tmp_path / "rows.json")
    product = assemble()
    options = {"input": path, "output": str(tmp_path / "output")}
    product.target("batch").deploy(model.spec("rows", options, pyfunc=False))
    frame = pd.DataFrame({name or "input": list(values) for name, values in rows.items()})
    assert agree(expected, product.predict("batch", "rows", frame))
    assert agree(expected, typed(client.predict("rows", frame)["predictions"], expected))
    frame.map(np.ndarray.tolist).to_json(json_path, orient="records", double_precision=15)
    given = {path: (deployments, "batch"), json_path: (mlflow_deployments, "lifecycle:/batch")}
    for file, (command, target) in given.items():
        arguments = ["predict", "-t", target, "--name", "rows", "-I", file]
        done = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert agree(expected, typed(json.loads(done.stdout)["predictions"], expected))
