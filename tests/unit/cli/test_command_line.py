"""The command line teaches, and its errors are one line with a documented code."""

from __future__ import annotations

import json
import re

import click
import pytest

from lifecycle.cli import cli, run


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Nothing of the machine's own configuration, and a place where nothing is."""
    for variable in ("LIFECYCLE_CONFIG", "MLFLOW_REGISTRY_URI", "LIFECYCLE_OWNER"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LIFECYCLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example(path, capsys):
    assert run([*path, "--help"]) == 0
    assert re.search(f"Examples?: lifecycle {' '.join(path)}", " ".join(capsys.readouterr().out.split()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path):
    unexplained = [p.name for p in COMMANDS[path].params if isinstance(p, click.Option) and not p.help]
    assert unexplained == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gate", "run", "flights/1", "--stage", "staging"], 2, "models:/NAME/VERSION"),
        (["gate", "run", "models:/a/latest", "--stage", "staging"], 2, "checked or not"),
        (["gate", "run", "models:/a/1"], 2, "--stage"),
        (["gate", "run", "models:/../1", "--stage", "staging"], 2, "model name"),
        (["promote", "models:/a/1", "--stage", "stagign"], 5, "did you mean 'staging'"),
        (["promote", "models:/a/1", "--stage", "staging"], 7, "database"),
        (["rollback", "flights-delay"], 2, "--reason"),
        (["history", "a;b"], 2, "model name"),
        (["deployments", "get", "-t", "rset", "--name", "x"], 5, "did you mean 'rest'"),
        (["deployments", "get", "--name", "nope"], 5, "unknown deployment 'nope'"),
        (["deployments", "create", "--name", "../x", "-m", "models:/a/1"], 2, "deployment name"),
        (["deployments", "create", "--name", "x", "-m", "models:/a/1", "-C", "port"], 2, "key=value"),
        (["deployments", "create", "--name", "x", "-m", "models:/a/1", "-C", "a=1", "-C", "a=2"], 2, "twice"),
        (["--config", "gone.yaml", "gate", "list"], 2, "no such file"),
        (["frobnicate"], 2, "No such command"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_wrong_call_is_one_clear_line_and_a_documented_code(arguments, code, said, capsys):
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    errors = [line for line in captured.err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1


def test_debug_shows_the_traceback(capsys):
    assert run(["--debug", "deployments", "get", "--name", "nope"]) == 5
    assert "Traceback" in capsys.readouterr().err


def test_a_broken_configuration_names_file_and_key(tmp_path, capsys):
    (tmp_path / "lifecycle.yaml").write_text("models: {m: {stages: {s: {stage: Staging, gates: [drfit]}}}}")
    assert run(["gate", "list"]) == 2
    said = capsys.readouterr().err
    assert "lifecycle.yaml" in said
    assert "did you mean 'drift'" in said


def test_gate_list_prints_json_for_machines(capsys):
    assert run(["gate", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"signature", "data_quality", "drift", "performance"} <= set(listed["gates"])
    assert {d["stage"] for d in listed["demands"]} == {"staging", "production"}


def test_deployments_list_of_an_empty_home(capsys):
    assert run(["deployments", "list"]) == 0
    assert "Nothing is deployed" in capsys.readouterr().out
    assert run(["deployments", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
