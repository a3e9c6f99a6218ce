"""MLflow's contract for a deployments plugin, through MLflow's own client and command line.

The promises are those of ``mlflow.deployments.BaseDeploymentClient`` and of what ``mlflow deployments`` does
with the answers. The registry is a database in a folder, with the guard in this process.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from mlflow.deployments import BaseDeploymentClient, PredictionsResponse, get_deploy_client
from mlflow.deployments import cli as deployments_cli
from mlflow.deployments import run_local as mlflow_run_local
from mlflow.deployments.plugin_manager import DeploymentPlugins
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore
from mlflow_lifecycle import deployments as plugin

POLICY = "defaults: {stages: {production: {stage: Production, alias: champion, gates: [signature]}}}"
FIRST, SECOND = "models:/flights-delay/1", "models:/flights-delay/2"
STAGE = "models:/flights-delay/Production"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, lifecycle_models):
    """Two versions registered, neither promoted."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "lifecycle.yaml").write_text(POLICY)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    SqlAlchemyStore(uri).engine.dispose()
    client = mlflow.MlflowClient(uri, uri)
    client.create_registered_model("flights-delay")
    for model in lifecycle_models:
        source = model.snapshot.path.as_uri()
        client.create_model_version("flights-delay", source, await_creation_for=None)
    return folder


@pytest.fixture
def home(prepared, tmp_path, monkeypatch):
    """What the plugin finds in its environment."""
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    monkeypatch.setenv("LIFECYCLE_CONFIG", str(tmp_path / "lifecycle.yaml"))
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    yield tmp_path
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture
def rows(lifecycle_models):
    return pd.DataFrame(dict(lifecycle_models[0].rows))


@pytest.fixture
def batch(home, rows):
    """A client of the target that starts no process, and the options that it needs."""
    rows.to_parquet(home / "rows.parquet")
    client = get_deploy_client("lifecycle:/batch")
    return client, {"input": str(home / "rows.parquet"), "output": str(home / "scored"), "promote": "true"}


def one_line(error: pytest.ExceptionInfo[MlflowException]) -> str:
    assert "\n" not in error.value.message
    return error.value.message


# What MLflow looks for in the module


def test_mlflow_finds_the_plugin_and_exactly_one_client_in_it():
    assert DeploymentPlugins()["lifecycle"] is plugin
    clients = [
        thing
        for thing in vars(plugin).values()
        if isinstance(thing, type)
        and issubclass(thing, BaseDeploymentClient)
        and thing is not BaseDeploymentClient
    ]
    assert clients == [plugin.LifecycleDeploymentClient]
    assert type(get_deploy_client("lifecycle:/rest")) is plugin.LifecycleDeploymentClient


def test_the_help_names_every_target_and_every_option():
    said = plugin.target_help()
    for word in ("lifecycle:/rest", "lifecycle:/batch", "lifecycle:/edge", "-C port=", "-C input=", "-C promote="):
        assert word in said


def test_run_local_takes_what_mlflow_gives_it(home):
    with pytest.raises(MlflowException, match="NOT_PROMOTED"):
        mlflow_run_local("lifecycle", "flights", FIRST, "python_function", {"max_in_flight": "8"})


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("lifecycle", "lifecycle:/batch, lifecycle:/edge, lifecycle:/rest"),
        ("lifecycle:/", "say which kind of target"),
    ],
)
def test_a_target_without_a_kind_is_asked_for_one(uri, said):
    with pytest.raises(MlflowException) as caught:
        get_deploy_client(uri)
    assert said in one_line(caught)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_an_unknown_kind_lists_the_known_ones(home):
    client = get_deploy_client("lifecycle:/nope")
    for call in (
        lambda: client.create_deployment("flights", FIRST),
        client.list_deployments,
        lambda: client.get_deployment("flights"),
        lambda: client.delete_deployment("flights"),
    ):
        with pytest.raises(MlflowException) as caught:
            call()
        assert "unknown target 'nope'. Known: batch, edge, rest" in one_line(caught)
        assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


# The life of a deployment


def test_a_deployment_from_beginning_to_end(batch, rows, lifecycle_models):
    client, config = batch
    made = client.create_deployment("july", FIRST, "python_function", config)
    assert (made["name"], made["flavor"], made["version"], made["status"]) == (
        "july",
        "python_function",
        1,
        "READY",
    )
    assert made["digest"] == lifecycle_models[0].snapshot.digest
    assert [d["name"] for d in client.list_deployments()] == ["july"]
    assert client.get_deployment("july") == client.list_deployments()[0]
    assert client.get_deployment("july")["config"] == {k: v for k, v in config.items() if k != "promote"}
    answer = client.predict("july", rows)
    assert np.allclose(answer.get_predictions("ndarray"), lifecycle_models[0].expected)
    changed = client.update_deployment(
        "july", SECOND, config={"output": config["output"] + "-2", "promote": "true"}
    )
    assert (changed["name"], changed["version"]) == ("july", 2)
    assert changed["flavor"]
    assert client.delete_deployment("july") is None
    assert client.delete_deployment("july") is None
    assert client.list_deployments() == []


def test_everything_it_answers_with_is_json(batch):
    client, config = batch
    made = client.create_deployment("july", FIRST, config=config)
    assert json.loads(json.dumps([made, *client.list_deployments()]))


def test_predictions_are_what_mlflow_writes_to_a_file(batch, rows, tmp_path):
    client, config = batch
    client.create_deployment("july", FIRST, config=config)
    answer = client.predict("july", rows)
    assert isinstance(answer, PredictionsResponse)
    answer.to_json(str(tmp_path / "answer.json"))
    again = PredictionsResponse.from_json((tmp_path / "answer.json").read_text())
    assert np.allclose(again.get_predictions("ndarray"), answer.get_predictions("ndarray"))
    assert answer.get_predictions("dataframe").shape == (len(rows), 2)


@pytest.mark.parametrize("form", ["records", "columns", "dataframe"])
def test_rows_come_in_any_form_that_makes_a_dataframe(batch, rows, form):
    client, config = batch
    client.create_deployment("july", FIRST, config=config)
    inputs = {"records": rows.to_dict("records"), "columns": rows.to_dict("list"), "dataframe": rows}[form]
    assert np.allclose(client.predict("july", inputs)["predictions"], client.predict("july", rows)["predictions"])


@pytest.mark.parametrize("inputs", [None, 5, {"distance": 5.0}, {"distance": [1.0, 2.0], "carrier": ["UA"]}])
def test_what_makes_no_rows_is_a_wrong_value(batch, inputs):
    client, config = batch
    client.create_deployment("july", FIRST, config=config)
    with pytest.raises(MlflowException) as caught:
        client.predict("july", inputs)
    assert one_line(caught)
    assert caught.value.get_http_status_code() == 400


# What is wrong


def test_wrong_calls_are_one_line_with_mlflows_error_code_and_ours(home, batch):
    client, config = batch
    promoted = {"promote": "true"}
    wrong = {
        "RESOURCE_DOES_NOT_EXIST": [
            lambda: client.get_deployment("july"),
            lambda: client.update_deployment("july", FIRST),
            lambda: client.predict("july", pd.DataFrame()),
            lambda: client.create_deployment("july", "models:/flights-delay/9", config=config),
            lambda: client.create_deployment("july", "models:/flihgts-delay/1", config=config),
        ],
        "INVALID_PARAMETER_VALUE": [
            lambda: client.create_deployment("../july", FIRST, config=config),
            lambda: client.create_deployment("july", "runs:/1234/model", config=config),
            lambda: client.create_deployment("july", FIRST, config=config | {"colour": "red"}),
            lambda: client.create_deployment("july", FIRST, config={"output": "nowhere"} | promoted),
            lambda: client.predict(None, pd.DataFrame()),
        ],
        "PERMISSION_DENIED": [
            lambda: client.create_deployment("july", SECOND, config={k: config[k] for k in ("input", "output")}),
        ],
    }
    for code, calls in wrong.items():
        for call in calls:
            with pytest.raises(MlflowException) as caught:
                call()
            assert one_line(caught).endswith("]")
            assert caught.value.error_code == code, caught.value
    assert client.list_deployments() == []
    assert mlflow.MlflowClient().get_model_version("flights-delay", "1").current_stage == "None"


def test_an_unknown_option_lists_the_known_ones(batch):
    client, config = batch
    with pytest.raises(MlflowException) as caught:
        client.create_deployment("july", FIRST, config=config | {"inptu": "x"})
    said = one_line(caught)
    assert "unknown option 'inptu'; did you mean 'input'? Known: " in said
    assert "output" in said


def test_a_name_is_given_once(batch):
    client, config = batch
    client.create_deployment("july", FIRST, config=config)
    with pytest.raises(MlflowException, match="use update") as caught:
        client.create_deployment("july", FIRST, config=config)
    assert caught.value.error_code == "RESOURCE_CONFLICT"


def test_there_are_no_endpoints(batch):
    client, config = batch
    for call in (
        lambda: client.create_deployment("july", FIRST, config=config, endpoint="blue"),
        lambda: client.update_deployment("july", FIRST, endpoint="blue"),
        lambda: client.delete_deployment("july", endpoint="blue"),
        lambda: client.list_deployments(endpoint="blue"),
        lambda: client.get_deployment("july", endpoint="blue"),
        lambda: client.predict("july", pd.DataFrame(), endpoint="blue"),
    ):
        with pytest.raises(MlflowException, match="no endpoints"):
            call()


# MLflow's command line


def test_mlflows_commands_work_from_create_to_delete(batch, home, rows):
    _, config = batch
    request, answer = home / "request.json", home / "answer.json"
    rows.to_json(request, orient="records")
    target = ["-t", "lifecycle:/batch"]
    named = [*target, "--name", "july"]
    options = [word for key, value in config.items() for word in ("-C", f"{key}={value}")]
    run(["create", *named, "-m", FIRST, *options], "deployment july is created")
    run(["list", *target], "july")
    run(["get", *named], "status: READY")
    run(["predict", *named, "-I", str(request), "-O", str(answer)], "")
    assert len(json.loads(answer.read_text())["predictions"]) == len(rows)
    run(
        ["update", *named, "-m", SECOND, "-C", f"output={home / 'second'}", "-C", "promote=true"],
        "july is updated",
    )
    run(["delete", *named], "july is deleted")
    run(["help", "-t", "lifecycle"], "lifecycle:/edge")


def test_an_option_given_twice_is_refused_by_mlflow(home):
    create = ["create", "-t", "lifecycle:/rest", "--name", "x", "-m", FIRST, "-C", "port=1", "-C", "port=2"]
    done = CliRunner().invoke(deployments_cli.commands, create)
    assert done.exit_code == 1
    assert "Repeated parameter: 'port'" in done.output


def run(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(deployments_cli.commands, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert said in done.output


@pytest.mark.slow  # a server process
def test_a_rest_deployment_answers_over_http_and_is_taken_down(home, rows, lifecycle_models, monkeypatch):
    from lifecycle.controller.follower import running_follower, stop_follower
    from lifecycle.processes.process import owned_by_me

    for variable, value in owned_by_me().items():
        monkeypatch.setenv(variable, value)
    client = get_deploy_client("lifecycle:/rest")
    client.create_deployment("pinned", FIRST, config={"promote": "true"})
    try:
        made = client.create_deployment("flights", STAGE)
        assert made["address"].startswith("http://127.0.0.1:")
        assert running_follower(Path(home / "home")) is not None
        assert np.allclose(client.predict("flights", rows)["predictions"], lifecycle_models[0].expected)
        with pytest.raises(MlflowException, match="'distance'"):
            client.predict("flights", rows.drop(columns="distance"))
        assert np.allclose(client.predict("flights", rows)["predictions"], lifecycle_models[0].expected)
    finally:
        for name in ("pinned", "flights"):
            client.delete_deployment(name)
        stop_follower(home / "home")
    assert client.list_deployments() == []
