"""The reference names everything that can be set or said, with its default, and nothing that is not there."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel

import lifecycle
from lifecycle.cli import EXIT_BUG, cli
from lifecycle.config.load import BUILT_IN, LifecycleFile, Model, Stage, load_config
from lifecycle.controller.deployer import ReleaseOptions
from lifecycle.domain.policy import GateSpec
from lifecycle.errors import LifecycleError
from lifecycle.gates import contract as gate_discovery
from lifecycle.gates.contract import GateOptions, gate_class, load_gate
from lifecycle.gates.performance.metrics import METRICS
from lifecycle.scoring.payload import MEDIA_TYPES
from lifecycle.targets import contract as target_discovery

ROOT = Path(__file__).parents[2]
GATE_NAMES, TARGET_NAMES = gate_discovery.GATES.names(), target_discovery.TARGETS.names()
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for folder in ("lifecycle", "plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
REFERENCE, GATES, TARGETS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("reference.md", "gates.md", "targets.md")
)


def section(page: str, heading: str) -> str:
    """From a heading to the next one of its kind."""
    marks = heading.partition(" ")[0]
    return page.partition(f"\n{heading}\n")[2].partition(f"\n{marks} ")[0]


def rows(text: str, first_column: str) -> list[list[str]]:
    """The rows of every table whose first column has that name."""
    found, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line[1:-1].split("|")] if line.startswith("|") else []
        if not cells:
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(cells)
        elif cells[0] == first_column:
            inside = True
    return found


def codes(text: str, first_column: str) -> list[str]:
    return [name for row in rows(text, first_column) for name in re.findall(r"`([^`]+)`", row[0])]


def as_documented(model: type[BaseModel]) -> dict[str, str]:
    """Options with their defaults, as the tables spell them."""
    return {name: _spelled(field) for name, field in model.model_fields.items()}


def _spelled(field) -> str:
    if field.is_required():
        return "required"
    if field.default in (None, ""):
        return "none"
    text = str(field.default)
    return f"`{text.lower() if isinstance(field.default, bool) else text}`"


def documented(text: str) -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in rows(text, "option")}


# lifecycle.yaml


@pytest.fixture
def example() -> str:
    return re.search(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL).group(1)


def test_the_example_loads(example, tmp_path):
    file = tmp_path / "lifecycle.yaml"
    file.write_text(example)
    config = load_config({}, tmp_path, file)
    for policy in (config.policies.default, *config.policies.models.values()):
        for stage in policy.stages:
            for spec in stage.gates:
                load_gate(spec)


def test_the_example_and_the_table_have_every_key(example):
    for model in (LifecycleFile, Model, Stage):
        for key in model.model_fields:
            assert f"{key}:" in example
            assert re.search(rf"`{key}[`.]", REFERENCE), key


def test_the_built_in_policy_is_told():
    told = " ".join(REFERENCE.partition("The built-in policy, where no file")[2].partition("## ")[0].split())
    for name, stage in BUILT_IN.stages.items():
        for word in (name, stage.alias, *(gate.name for gate in stage.gates)):
            assert word is None or f"`{word}`" in told
        for gate in stage.gates:
            for key, value in gate.options.items():
                assert f"{key}: {value}" in told


# Gates


def gate_page(name: str) -> str:
    return (ROOT / "docs" / "gates" / f"{name}.md").read_text(encoding="utf-8")


def test_every_gate_has_a_page_and_every_page_a_gate():
    assert {path.stem for path in (ROOT / "docs" / "gates").iterdir()} == set(GATE_NAMES)
    assert {row[0] for row in rows(GATES, "gate")} == {f"[`{name}`](gates/{name}.md)" for name in GATE_NAMES}
    for name in GATE_NAMES:
        assert gate_page(name).startswith(f"# `{name}`\n")


@pytest.mark.parametrize("name", GATE_NAMES)
def test_a_gates_options_and_defaults(name):
    shared = as_documented(GateOptions)
    assert documented(GATES) == shared
    assert documented(gate_page(name)) | shared == as_documented(gate_class(name).Options)


@pytest.mark.parametrize("name", GATE_NAMES)
def test_a_gates_examples_are_ones_that_it_takes(name):
    blocks = re.findall(r"```yaml\n(.*?)```", gate_page(name), re.DOTALL)
    assert blocks
    for block in blocks:
        stage = Stage.model_validate({"stage": "Staging", **yaml.safe_load(block)})
        for gate in stage.gates:
            assert gate.name == name
            load_gate(GateSpec(gate.name, gate.options))


@pytest.mark.parametrize("name", GATE_NAMES)
def test_a_gates_page_says_what_it_makes_of_degenerate_input(name):
    told = rows(gate_page(name), "input")
    assert len(told) >= 5
    for _, verdict, *_ in told:
        assert re.search(r"PASSED|FAILED|INCONCLUSIVE|ERROR", verdict), verdict


def test_every_metric_is_named():
    assert set(METRICS) <= set(re.findall(r"`(\w+)`", gate_page("performance")))


def reasons_in(path: Path) -> set[str]:
    """Reason codes that a module's calls give, but for ``passed``."""
    says = {"failed": 1, "inconclusive": 1, "broke": 1, "Unmeasurable": 0}
    found = set()
    for node in ast.walk(ast.parse(SOURCES[path])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in says:
            what = node.args[says[node.func.id]]
            found |= {what.value} if isinstance(what, ast.Constant) else set()
    return found


SHARED = {"passed"} | set().union(
    *(reasons_in(ROOT / "lifecycle" / "gates" / f"{name}.py") for name in ("run", "contract", "subprocess_runner"))
)


@pytest.mark.parametrize("name", GATE_NAMES)
def test_a_gates_reasons_are_those_that_its_code_gives(name):
    module = importlib.import_module(gate_class(name).__module__)
    path = Path(module.__file__)
    beside = path.parent.glob("*.py") if path.parent.name != "gates" else [path]
    given = set().union(*(reasons_in(p) for p in beside))
    assert given - SHARED <= set(codes(gate_page(name), "reason"))


@pytest.mark.parametrize("name", GATE_NAMES)
def test_a_gates_page_tells_no_reason_that_nothing_gives(name):
    words = {word for text in SOURCES.values() for word in re.findall(r'"([a-z_]+)"', text)}
    assert set(codes(gate_page(name), "reason")) <= words


def test_the_reasons_that_gates_share():
    assert set(codes(GATES, "reason")) == SHARED


# Targets


def test_every_target_has_a_section(target_options):
    assert set(re.findall(r"^## `(\w+)`", TARGETS, re.MULTILINE)) == set(TARGET_NAMES) == set(target_options)


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_targets_options_and_defaults(name, target_options):
    assert documented(section(TARGETS, f"## `{name}`")) == as_documented(target_options[name])


def test_the_options_of_every_target():
    assert documented(TARGETS.partition("\n## ")[0]) == as_documented(ReleaseOptions)


def test_the_rest_routes_and_their_methods():
    from lifecycle.serving.release import Releases
    from lifecycle.serving.routes import routes_of
    from lifecycle.serving.settings import Settings
    from lifecycle.serving.state import State

    given = {(route.path, route.method) for route in routes_of(State(Releases("m"), Settings())).all}
    told = {
        (path, row[1])
        for row in rows(section(TARGETS, "### Endpoints"), "path")
        for path in re.findall(r"`([^`]+)`", row[0])
    }
    assert told == given


def test_the_rest_headers_statuses_and_body_formats():
    rest = "".join(text for path, text in SOURCES.items() if "serving" in path.parts)
    payload = SOURCES[ROOT / "lifecycle" / "scoring" / "json_rows.py"]
    told = section(TARGETS, "## `rest`")
    headers = {header.lower() for first in ("header", "header of a request") for header in codes(told, first)}
    assert headers == set(re.findall(r"x-(?:lifecycle|request)-[a-z-]+", rest))
    assert {row[0] for row in rows(told, "status")} == set(re.findall(r"^    (\d{3}): ", rest, re.MULTILINE))
    for code in re.findall(r'^    \d{3}: "([A-Z_]+)"', rest, re.MULTILINE):
        assert f"`{code}`" in told
    for shape in re.findall(r'^    "(\w+)": _from_', payload, re.MULTILINE):
        assert f"`{shape}`" in told
    for media_type in MEDIA_TYPES:
        assert f"`{media_type}`" in told


def test_the_files_of_batch_and_edge():
    from lifecycle.bundle import runner
    from lifecycle.scoring import row_check
    from lifecycle.targets.batch import engine, output
    from lifecycle.targets.batch.plan import MANIFEST, REJECTED

    batch, edge = (codes(section(TARGETS, f"## `{name}`"), f"file in the {what}") for name, what in FILES.items())
    assert {MANIFEST, output._PLAN, output._DONE} <= set(batch)
    assert any(name.startswith(REJECTED) for name in batch)
    assert set(edge) == {runner.MANIFEST, runner.MODEL, runner.GOLDEN, runner.RUNNER}
    rejected = codes(section(TARGETS, "## `batch`"), "why a row is rejected")
    assert set(rejected) == {row_check.MISSING, row_check.UNFIT, row_check.REFUSED, engine.RAGGED}


FILES = {"batch": "output", "edge": "bundle"}


# Settings, commands, errors


def test_every_environment_variable_that_the_code_reads():
    read = set()
    for text in SOURCES.values():
        read |= set(re.findall(r"\bLIFECYCLE_[A-Z_]+\b", text))
        read |= set(re.findall(r'"((?:MLFLOW|GX|ORT)_[A-Z_]+|DO_NOT_TRACK)"', text))
        read |= set(re.findall(r"\b(MLFLOW_[A-Z_]+)\.get\(\)", text))
    assert set(codes(REFERENCE, "environment variable")) == read - {LifecycleError.code}


def leaves(group: click.Group, path: str = "lifecycle"):
    for name, command in group.commands.items():
        words = f"{path} {name}"
        yield from leaves(command, words) if isinstance(command, click.Group) else [words]


def test_every_command():
    assert set(codes(REFERENCE, "command")) == set(leaves(cli))


def test_every_public_call_with_its_arguments():
    def spelled(name: str) -> str:
        parameters = inspect.signature(getattr(lifecycle, name)).parameters.values()
        plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        return f"lifecycle.{name}({', '.join(map(str, plain))})".replace("'", '"')

    assert set(codes(REFERENCE, "call")) == {spelled(name) for name in lifecycle.__all__ if name != "errors"}


def errors() -> set[type[LifecycleError]]:
    """The whole tree, wherever its branches are; modules without one are not imported."""
    classes = [
        (node.name, {base.id for base in node.bases if isinstance(base, ast.Name)}, path)
        for path, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
    ]
    found, before = {LifecycleError.__name__: LifecycleError}, 0
    while len(found) > before:
        before = len(found)
        for name, bases, path in classes:
            if bases & set(found):
                module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[name] = getattr(importlib.import_module(module), name)
    return set(found.values())


def test_every_error_with_its_code_and_exit_code():
    table = [row for row in rows(REFERENCE, "exit") if row[1]]
    told = {(row[1].strip("`"), row[2].strip("`"), int(row[0])) for row in table}
    assert told == {(error.__name__, error.code, error.exit_code) for error in errors()}


def test_every_other_exit_code():
    assert {row[0] for row in rows(REFERENCE, "exit") if not row[1]} == {"0", str(EXIT_BUG), "130"}


def test_every_registry_scheme_and_reserved_tag():
    from lifecycle.registry import tags

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(codes(REFERENCE, "scheme")) == set(project["entry-points"]["mlflow.model_registry_store"])
    assert set(codes(REFERENCE, "tag")) == {
        tags.PROMOTION,
        tags.HISTORY,
        tags.EVIDENCE + "<stage>",
        tags.SUMMARY + "<stage>",
        tags.APPROVE + "<stage>",
        tags.APPROVALS + "<stage>",
        tags.PROOF + "<stage>",
        tags.CLAIM + "<stage>",
        tags.QUEUE + "<stage>",
    }
