"""What holds for every page: its commands are real, its links lead somewhere, its Python compiles."""

from __future__ import annotations

import re
from pathlib import Path

import click
import nbformat
import pytest

import lifecycle
from lifecycle.errors import LifecycleError

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in ("*.md", "docs/**/*.md", "projects/*/README.md", "benchmarks/*/README.md")
    for path in sorted(ROOT.glob(pattern))
}
NOTEBOOKS = {
    str(path.relative_to(ROOT)): "\n\n".join(
        cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
    )
    for path in sorted(ROOT.glob("notebooks/*.ipynb"))
}
TEXTS = PAGES | NOTEBOOKS
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = r"(?:lifecycle|mlflow) [^`\n]+"
LINK = re.compile(r"\]\((?!https?://)([^)#]+)[^)]*\)")


def fences(text: str, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(text) if name == language]


def commands(text: str) -> list[str]:
    """Commands of shell blocks, and those in backticks in the prose."""
    lines = "\n".join(fences(text, "")).replace("\\\n", " ").splitlines()
    return [line for line in lines if re.match(COMMAND, line)] + re.findall(f"`({COMMAND})`", FENCE.sub("", text))


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_is_one_that_its_program_takes(name, check_command):
    for line in commands(TEXTS[name]):
        try:
            check_command(line)
        except Exception as exc:
            pytest.fail(f"{line}: {type(exc).__name__} {exc}")


@pytest.mark.parametrize(
    "line",
    [
        "lifecycle gates run models:/m/1 --stage staging",
        "lifecycle promote models:/m/1 --stages staging",
        "lifecycle rollback m",
        "mlflow deployments create -t lifecycle:/rest --name m -m models:/m/1 -C prot=80",
        "mlflow deployments create -t lifecycle:/batch --name m -m models:/m/1 -C input=rows.csv",
        "lifecycle deployments create -t rset --name m -m models:/m/1",
        "mlflow server --registry-uri sqlite:///mlflow.db",
    ],
)
def test_a_command_that_no_program_takes_would_be_noticed(line, check_command):
    with pytest.raises((click.ClickException, LifecycleError, KeyError)):
        check_command(line)


def test_the_pages_do_show_commands():
    assert len([line for text in TEXTS.values() for line in commands(text)]) > 40


@pytest.mark.parametrize("name", TEXTS)
def test_every_link_leads_somewhere(name):
    missing = [
        target for target in LINK.findall(TEXTS[name]) if not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("name", TEXTS)
def test_python_blocks_compile_and_call_the_public_api_only(name):
    for block in fences(TEXTS[name], "python"):
        compile(block, name, "exec")
        assert set(re.findall(r"\blifecycle\.(\w+)\(", block)) <= set(lifecycle.__all__)


@pytest.mark.parametrize("name", TEXTS)
def test_prose_calls_the_public_api_only(name):
    called = set(re.findall(r"`lifecycle\.(\w+)\(", TEXTS[name]))
    assert called <= set(lifecycle.__all__)


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_exist(name):
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shell = "\n".join(fences(PAGES[name], ""))
    used = re.findall(r"^make (\w+)", shell, re.MULTILINE) + re.findall(r"`make (\w+)`", PAGES[name])
    assert set(used) <= known
