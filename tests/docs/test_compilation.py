"""The table of compiled estimators says what really becomes of each."""

from __future__ import annotations

import pytest

from tests.estimators import BEGIN, CASES, END, PAGE, outcome

pytestmark = pytest.mark.slow


def _lines() -> dict[str, str]:
    page = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()[2:]]
    return {name.strip("`"): served for name, _, served in rows}


def test_each_estimator_has_its_line_and_no_other_has():
    assert list(_lines()) == [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_line_says_what_becomes_of_the_estimator(case):
    """Where this fails and the new outcome is right: python -m tests.estimators."""
    assert _lines()[case.name] == outcome(case)
