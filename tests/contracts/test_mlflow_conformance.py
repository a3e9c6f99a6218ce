"""Case by case what MLflow's own scoring server answers, asked of ours and of MLflow's."""

from __future__ import annotations

import http.client
import importlib.metadata
import io
import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest

from lifecycle.domain.deployment import DeploymentSpec, Variant
from lifecycle.domain.model import ModelRef
from lifecycle.processes.process import wait_until
from lifecycle.registry.snapshot import SnapshotStore
from lifecycle.scoring.payload import ARROW
from lifecycle.testing.target_contract import folder_source
from tests.contracts.mlflow_cases import CASES, JSON, SECRET

pytestmark = pytest.mark.slow

OPTIONS = {"request_timeout_s": "3"}
TABLE = """
import time

import mlflow.pyfunc
import pandas as pd


class Table(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["a"] < 0).any():
            raise RuntimeError(f"cannot take {model_input['a'].tolist()}")
        if (model_input["a"] == 77).any():
            time.sleep(10)
        return pd.DataFrame({"y": model_input["a"], "k": params["k"]})


mlflow.models.set_model(Table())
"""
TENSOR = """
import mlflow.pyfunc


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


mlflow.models.set_model(Echo())
"""


def save_table(folder: Path) -> None:
    """Takes ``a: double, b: long`` and the parameter ``k: double = 1.5``; answers with ``{y: a, k: k}``."""
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    signature = ModelSignature(
        Schema([ColSpec("double", "a"), ColSpec("long", "b")]), params=ParamSchema([ParamSpec("k", "double", 1.5)])
    )
    _save(folder, TABLE, signature, (pd.DataFrame({"a": [1.0], "b": [2]}), {"k": 1.5}))


def save_tensor(folder: Path) -> None:
    """Echoes float32 of shape (-1, 2)."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    signature = ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2))]))
    _save(folder, TENSOR, signature, np.ones((1, 2), np.float32))


def _save(folder, code, signature, example):
    import mlflow.pyfunc

    source = folder.parent / "model_code.py"
    source.write_text(code)
    mlflow.pyfunc.save_model(
        folder, python_model=str(source), signature=signature, input_example=example, pip_requirements=[]
    )


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    store = SnapshotStore(tmp_path_factory.mktemp("models"))
    return {"table": store.put(save_table), "tensor": store.put(save_tensor)}


@pytest.fixture(scope="module")
def ours(snapshots, rest):
    """Addresses of running servers, by model."""
    return {
        name: rest.deploy(
            DeploymentSpec(name, ModelRef("m", version=1), (Variant(1, folder_source(snapshot)),), OPTIONS)
        ).address
        for name, snapshot in snapshots.items()
    }


@pytest.fixture(scope="module")
def stock(snapshots, tmp_path_factory):
    """MLflow's own server, in process."""
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server
    from starlette.testclient import TestClient

    folder = tmp_path_factory.mktemp("stock")
    return {
        name: TestClient(
            # a copy, because MLflow leaves bytecode beside a model's code
            scoring_server.init(mlflow.pyfunc.load_model(str(shutil.copytree(snapshot.path, folder / name)))),
            raise_server_exceptions=False,
        )
        for name, snapshot in snapshots.items()
    }


def ask(address: str, method: str, path: str, body: bytes = b"", content_type: str | None = None, **headers: str):
    """Status, headers and body of the answer."""
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    headers |= {"Content-Type": content_type} if content_type else {}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers, content


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_request_is_answered_as_the_table_says(ours, case):
    status, headers, body = ask(
        ours["tensor" if case.tensor else "table"], "POST", "/invocations", case.sent, case.content_type
    )
    assert status == case.status, body
    assert SECRET.encode() not in body
    if status == 415:
        assert headers["Content-Type"].startswith("text/plain")
        assert case.says in body.decode()
        return
    answer = json.loads(body, parse_constant=pytest.fail)
    if status == 200:
        assert answer == {"predictions": case.predictions}
        return
    assert answer["error_code"] == case.code
    assert case.says in answer["message"]
    assert "stack_trace" not in answer


@pytest.mark.parametrize("case", [case for case in CASES if not case.ours], ids=lambda case: case.name)
def test_mlflow_answers_the_same(stock, case):
    response = stock["tensor" if case.tensor else "table"].post(
        "/invocations", content=case.sent, headers={"Content-Type": case.content_type}
    )
    assert response.status_code == case.status, response.text
    if case.status == 200:
        assert response.json() == {"predictions": case.predictions}
    elif case.status == 400:
        assert response.json()["error_code"] == case.code


@pytest.mark.parametrize("case", [case for case in CASES if case.ours], ids=lambda case: case.name)
def test_where_mlflow_answers_differently_it_still_does(stock, case):
    """When this fails, MLflow has changed, and so should the table."""
    headers = {"Content-Type": case.content_type} if case.content_type else {}
    response = stock["table"].post("/invocations", content=case.sent, headers=headers)
    same = response.status_code == case.status
    assert not same or b"NaN" in response.content


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("GET /ping", 200, b"\n"),
        ("GET /health", 200, b"\n"),
        ("GET /version", 200, importlib.metadata.version("mlflow").encode()),
        ("HEAD /ping", 405, None),
        ("GET /invocations", 405, None),
        ("GET /nope", 404, None),
        ("GET /docs", 200, None),
        ("GET /openapi.json", 200, None),
    ],
    ids=["C1 ping", "C1 health", "C2", "C3", "C4", "C5", "C5 docs", "C5 openapi"],
)
def test_other_paths_are_answered_with_the_same_status(ours, stock, asked, status, body):
    method, path = asked.split()
    answered, headers, content = ask(ours["table"], method, path)
    theirs = stock["table"].request(method, path)
    assert (answered, theirs.status_code) == (status, status)
    if method != "HEAD":
        assert headers.get_content_type() == theirs.headers["Content-Type"].split(";")[0]
    if body is not None:
        assert content == theirs.content == body


def test_c32_an_answer_that_takes_too_long_is_504_and_the_server_goes_on(ours):
    body = json.dumps({"dataframe_records": [{"a": 77, "b": 2}]}).encode()
    status, _, answer = ask(ours["table"], "POST", "/invocations", body, JSON)
    assert (status, json.loads(answer)["error_code"]) == (504, "DEADLINE_EXCEEDED")
    after = json.dumps({"dataframe_records": [{"a": 1, "b": 2}]}).encode()
    wait_until(lambda: ask(ours["table"], "POST", "/invocations", after, JSON)[0] == 200, 60, "it answers again")


def test_c24_and_the_other_refusals_say_what_mlflow_3_says_besides(ours, stock):
    for case in (case for case in CASES if case.status == 400 and not case.ours):
        model = "tensor" if case.tensor else "table"
        mine = json.loads(ask(ours[model], "POST", "/invocations", case.sent, case.content_type)[2])
        theirs = stock[model].post("/invocations", content=case.sent, headers={"Content-Type": case.content_type})
        for key in ("sqlstate", "error_class"):
            assert mine[key] == theirs.json()[key], case.name


def test_c31_one_row_of_the_bodys_own_keys_is_answered_bare(ours, stock):
    body = json.dumps({"input": "x", "a": 1.0, "b": 2}).encode()
    mine = ask(ours["table"], "POST", "/invocations", body, JSON)
    assert (mine[0], json.loads(mine[2])) == (200, [{"y": 1.0, "k": 1.5}])


def test_mlflows_own_client_gets_the_models_own_predictions(ours):
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    url = urlsplit(ours["table"])
    client = ScoringServerClient(url.hostname, url.port)
    client.wait_server_ready(timeout=20)
    answer = client.invoke(pd.DataFrame({"a": [1.0, 3.0], "b": [2, 4]}), params={"k": 2.5})
    assert answer.get_predictions().to_dict("records") == [{"y": 1.0, "k": 2.5}, {"y": 3.0, "k": 2.5}]


def test_arrow_in_and_arrow_out_carry_the_same_rows(ours):
    rows, sink = pa.table({"a": [1.0, 3.0], "b": [2, 4]}), io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    asked = ask(ours["table"], "POST", "/invocations", sink.getvalue(), ARROW, Accept=f"{ARROW}, */*;q=0.1")
    assert (asked[0], asked[1]["Content-Type"]) == (200, ARROW)
    with pa.ipc.open_stream(asked[2]) as reader:
        assert reader.read_all().to_pydict() == {"y": [1.0, 3.0], "k": [1.5, 1.5]}
    as_json = ask(ours["table"], "POST", "/invocations", sink.getvalue(), ARROW)
    assert json.loads(as_json[2]) == {"predictions": [{"y": 1.0, "k": 1.5}, {"y": 3.0, "k": 1.5}]}
