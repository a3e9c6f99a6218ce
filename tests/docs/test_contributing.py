"""CONTRIBUTING says where things happen, and they do happen there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WHERE = re.findall(r"^\| ([^|]+) \| \[([^\]]+)\]\(([^)]+)\) \| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def defined(path: Path) -> set[str]:
    """Functions, classes, constants, and methods as ``Class.method``."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_the_table_has_twenty_rows_and_more():
    assert len(WHERE) >= 20
    assert len({what for what, *_ in WHERE}) == len(WHERE)


@pytest.mark.parametrize(("what", "shown", "file", "name"), WHERE, ids=[what for what, *_ in WHERE])
def test_it_happens_where_the_table_says(what, shown, file, name):
    assert shown == file
    assert name in defined(ROOT / file), what


def test_the_layers_are_those_that_the_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [name for line in contracts["contracts"][0]["layers"] for name in line.split(" | ")]
    table = PAGE.partition("| layer | holds |")[2].partition("\n\n")[0]
    first_cells = [line.split(" | ")[0] for line in table.splitlines()]
    told = [name.removeprefix("plugins/") for cell in first_cells for name in re.findall(r"`([\w./]+)`", cell)]
    assert told == layers
