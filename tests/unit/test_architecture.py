"""The house rules that a machine can check."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (ROOT / "lifecycle", ROOT / "plugins" / "mlflow_lifecycle")
FILES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "constants", "misc", "manager", "handlers"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 45


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def lines_of(function) -> int:
    """Lines of the body, the docstring aside."""
    docstring = ast.get_docstring(function, clean=False) or ""
    return (function.end_lineno or 0) - function.lineno - docstring.count("\n")


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    assert path.stem not in DRAWERS


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_functions_are_short(path):
    long = [f"{f.name} ({lines_of(f)} lines)" for f in functions(path) if lines_of(f) > LONGEST_FUNCTION]
    assert long == []


def test_most_files_and_functions_are_much_shorter_than_the_limit():
    file_lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)
    function_lengths = sorted(lines_of(f) for path in FILES for f in functions(path))
    assert file_lengths[int(0.9 * len(file_lengths))] <= 320  # a chapter has about 100 to 400 lines
    assert function_lengths[int(0.9 * len(function_lengths))] <= 20


@pytest.mark.parametrize("folder", ["plugins", "projects", "notebooks", "tests"])
def test_folders_that_are_no_packages_hold_no_init(folder):
    assert not (ROOT / folder / "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_nothing_prints_but_the_command_line(path):
    if "cli" in path.parts:
        return
    calls = (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))
    printed = [n.lineno for n in calls if isinstance(n.func, ast.Name) and n.func.id == "print"]
    allowed = {
        "lifecycle/targets/edge/runner.py",
        "lifecycle/processes/supervise.py",
    }  # commands of their own
    assert not printed or relative(path) in allowed
