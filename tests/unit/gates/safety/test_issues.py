"""Every reason that the gate can give is in one table, and on the gate's page."""

import ast
import re
from pathlib import Path

import pytest

from lifecycle.gates.safety import gate
from lifecycle.gates.safety.rules import REASONS, SafetyIssue

SOURCES = sorted(Path(gate.__file__).parent.glob("*.py"))
PAGE = Path(__file__).parents[4] / "docs" / "gates" / "safety.md"


def given():
    """Reasons that the code gives: first arguments of SafetyIssue and of the scans' own _find."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in {"SafetyIssue", "_find"}:
                    yield node.args[0].value


def test_the_table_holds_what_the_code_gives():
    assert set(given()) == set(REASONS)


def test_the_page_tells_each_with_its_outcome():
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z]+) \|", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {what: str(outcome) for what, (outcome, _) in REASONS.items()}


@pytest.mark.parametrize("what", REASONS)
def test_each_says_what_to_do(what):
    advice = SafetyIssue(what, "f", "w").advice
    assert advice.endswith(".")
    options = set(re.findall(r"'(\w+)'", advice))
    assert options <= set(gate.SafetyOptions.model_fields)


def test_the_most_important_one_comes_first():
    found = sorted((SafetyIssue(what, "", "") for what in reversed(REASONS)), key=lambda f: f.weight)
    assert [f.what for f in found] == list(REASONS)
