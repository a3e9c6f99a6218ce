"""The page on CI says what the templates take, and its examples use what is there."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / ".github/actions/gate/action.yml").read_text(encoding="utf-8"))
GITLAB = yaml.safe_load((ROOT / "docs/ci/gitlab.yml").read_text(encoding="utf-8"))


def test_every_input_with_its_default():
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    spelled = {
        name: "required" if spec.get("required") else f"`{spec['default']}`" if spec["default"] else "none"
        for name, spec in ACTION["inputs"].items()
    }
    assert {name: default.strip() for name, default in told.items()} == spelled


def test_the_examples_name_inputs_jobs_and_variables_that_exist():
    github, gitlab = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    (step,) = [s for s in github["jobs"]["release"]["steps"] if s["uses"].startswith("./")]
    assert (ROOT / step["uses"] / "action.yml").is_file()
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert (ROOT / gitlab["include"]).is_file()
    assert gitlab["gate"]["extends"] in GITLAB
    script = "\n".join(GITLAB[".lifecycle-gate"]["script"])
    for variable in gitlab["gate"]["variables"]:
        assert f"${variable}" in script or f"${{{variable}" in script
