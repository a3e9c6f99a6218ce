"""The house rules that a machine can check."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Container
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "lifecycle", ROOT / "plugins" / "mlflow_lifecycle")
FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "constants", "misc", "manager", "handlers"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 45
PRINTING = {"lifecycle/bundle/runner.py", "lifecycle/processes/supervise.py"}
"""Commands of their own."""
OCCUR_TWICE = {"Example", "Permission", "PublicKey", "Record", "Request"}
"""Names of classes that still occur more than once. Give one of each a name of its own, and shorten this list."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def lengths() -> dict[Path, int]:
    """Lines of each file."""
    return {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}


def functions():
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def lines_of(function) -> int:
    """Lines of the body, the docstring aside."""
    docstring = ast.get_docstring(function, clean=False) or ""
    return (function.end_lineno or 0) - function.lineno - docstring.count("\n")


def imported(path: Path, modules: Container[str]) -> set[str]:
    """Those of our modules that a module imports as it is loaded itself."""
    found = set()
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in modules else node.module for name in names)
    return found


def test_files_are_short_and_named_for_what_they_hold():
    assert [relative(p) for p in FILES if lengths()[p] > LONGEST_FILE] == []
    assert [relative(p) for p in FILES if p.stem in DRAWERS] == []


def test_functions_are_short():
    long = [f"{relative(p)} {f.name} ({lines_of(f)})" for p, f in functions() if lines_of(f) > LONGEST_FUNCTION]
    assert long == []


def test_most_files_and_functions_are_much_shorter_than_the_limit():
    file_lengths, function_lengths = sorted(lengths().values()), sorted(lines_of(f) for _, f in functions())
    assert file_lengths[int(0.9 * len(file_lengths))] <= 320
    assert function_lengths[int(0.9 * len(function_lengths))] <= 20


@pytest.mark.parametrize("folder", ["plugins", "projects", "notebooks"])
def test_folders_that_are_no_packages_hold_no_init(folder):
    """``tests`` is one: tf2onnx and others install a package of that name, which would win over a mere folder."""
    assert not (ROOT / folder / "__init__.py").exists()


def test_nothing_prints_but_the_command_line():
    calls = ((p, n) for p in FILES for n in ast.walk(tree(p)) if isinstance(n, ast.Call))
    printing = {relative(p) for p, n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"}
    assert {name for name in printing if "cli" not in Path(name).parts} <= PRINTING


def test_a_class_name_occurs_once():
    """Each package that ships by itself for itself; classes within functions and other classes aside."""
    counted = Counter(n.name for p in FILES for n in tree(p).body if isinstance(n, ast.ClassDef))
    twice = {name for name, times in counted.items() if times > 1 and not name.startswith("_")}
    assert twice - OCCUR_TWICE == set()
    assert OCCUR_TWICE - twice == set(), "these occur once now: take them off the list"


def test_modules_do_not_import_one_another_in_a_circle():
    modules = {relative(p).removeprefix("plugins/").removesuffix(".py").replace("/", "."): p for p in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    graph = {name: imported(path, modules) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" imports ".join(reversed(exc.args[1])))


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_module_imports_itself_by_way_of_others():
    """The inside of ``lifecycle.serving`` is still to be untangled."""
    dotted = ((".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in FILES)
    names = {name.removeprefix("plugins.").removesuffix(".__init__"): path for name, path in dotted}
    names = {name: path for name, path in names.items() if not name.startswith("lifecycle.serving")}
    graph = {name: imports_of(path) & (names.keys() - {name}) for name, path in names.items()}
    while leaves := {name for name, imported in graph.items() if not imported & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in leaves}
    assert not graph, sorted(graph)
