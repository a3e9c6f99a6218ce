"""The README says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from lifecycle.cli.demo import demo
from lifecycle.cli.demo.steps import STEPS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"lifecycle (?:gate run|promote|rollback|history)|lifecycle:/\w+|mlflow run")


def section(heading: str) -> str:
    return README.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_a_newcomer_is_given_two_commands():
    assert re.findall(r"^make (\w+)", README, re.MULTILINE) == ["demo", "test"]


def test_the_story_has_the_steps_that_the_demo_runs():
    numbers = re.findall(r"^(\d+)\. ", section("The story that the demo tells"), re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(STEPS) + 1)]


def test_each_step_speaks_of_what_the_demo_does_there():
    told = re.split(r"^\d+\. ", section("The story that the demo tells"), flags=re.MULTILINE)[1:]
    for step, words in zip(STEPS, told, strict=True):
        for command in re.findall(
            r"lifecycle (?:gate run|promote|rollback|history)|lifecycle:/\w+|mlflow run", step.title
        ):
            assert command in words, step.title


def test_the_options_of_the_demo_are_told():
    for option in demo.params:
        assert option.opts[0] in section("The story that the demo tells")


def test_it_is_short():
    assert len(README.splitlines()) < 90
