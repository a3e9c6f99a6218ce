"""The steps of the CI templates themselves, in a clean shell, on a real registry."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from tests.proof import some

ROOT = Path(__file__).parents[3]
ACTION = yaml.safe_load((ROOT / ".github/actions/gate/action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs/ci/gitlab.yml").read_text())[".lifecycle-gate"]
GOOD, BAD = "models:/flights-delay/2", "models:/unsigned/1"
PASSES, FAILS = (GOOD, 0, 0), (BAD, 1, 1)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def secrets(stack, tmp_path_factory) -> dict[str, str]:
    """CI's key, made and trusted as docs/keys.md says; the text of its private half is the job's secret."""
    folder = tmp_path_factory.mktemp("ci")
    for call, home in (("init --name ci", folder), (f"trust {folder}/keys/signing.pub.pem --name ci", stack.home)):
        done = stack.lifecycle(f"keys {call}", LIFECYCLE_HOME=str(home))
        assert done.code == 0, done.err
    return {"LIFECYCLE_SIGNING_KEY": (folder / "keys/signing.pem").read_text()}


def in_a_clean_shell(script: str, stack, folder: Path, **variables: str) -> int:
    """As a runner does it: nothing in the environment but what the job has."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "LIFECYCLE_HOME": str(folder / "home"),
        "MLFLOW_TRACKING_URI": stack.url,
        "LIFECYCLE_CONFIG": str(stack.config),
    }
    shell = ["/bin/bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(shell, cwd=folder, env=environment | variables, check=False).returncode


def github(stack, folder: Path, secrets: dict[str, str], **inputs: str) -> int:
    """The composite action's own shell steps, with its inputs put in as the runner does."""
    given = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()} | {"install": ""} | inputs
    for step in ACTION["runs"]["steps"]:
        if "run" not in step or (step.get("if") == "inputs.install != ''" and not given["install"]):
            continue
        variables = {
            key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: given[found[1]], value)
            for key, value in step["env"].items()
        }
        runner = {"RUNNER_TEMP": str(folder), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
        if code := in_a_clean_shell(step["run"], stack, folder, **variables, **runner, **secrets):
            return code
    return 0


def gitlab(stack, folder: Path, **variables: str) -> int:
    script = "\n".join([*GITLAB["before_script"], *GITLAB["script"]])
    return in_a_clean_shell(script, stack, folder, **GITLAB["variables"] | {"INSTALL": ""} | variables)


def outcome_in(junit: Path) -> tuple[int, int]:
    """Tests, and those that are not green."""
    cases = list(ET.parse(junit).getroot().iter("testcase"))
    return len(cases), sum(any(child.tag in ("failure", "error") for child in case) for case in cases)


@pytest.mark.parametrize(("model", "code", "red"), some([PASSES, FAILS], FAILS))
def test_github_gates_a_release_and_publishes_what_was_found(stack, tmp_path, secrets, model, code, red):
    assert github(stack, tmp_path, secrets, model=model, stage="staging") == code
    assert outcome_in(tmp_path / "lifecycle-gates.xml") == (1, red)
    assert "signature" in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(("model", "code", "red"), some([PASSES, FAILS], PASSES))
def test_gitlab_gates_a_release_and_publishes_what_was_found(stack, tmp_path, secrets, model, code, red):
    assert gitlab(stack, tmp_path, MODEL=model, STAGE="staging", **secrets) == code
    assert outcome_in(tmp_path / GITLAB["artifacts"]["reports"]["junit"]) == (1, red)
    assert "signature" in (tmp_path / GITLAB["artifacts"]["paths"][0]).read_text()


def test_rows_that_are_not_there_fail_the_job_before_anything_is_published(stack, tmp_path, secrets):
    assert github(stack, tmp_path, secrets, model=GOOD, stage="staging", current="nowhere july.parquet") == 5
    assert not (tmp_path / "lifecycle-gates.xml").exists()


def test_text_from_outside_is_never_part_of_a_script(stack, tmp_path, secrets):
    evil = 'models:/x/1"; touch owned; echo "'
    assert github(stack, tmp_path, secrets, model=evil, stage="$(touch owned)") != 0
    assert gitlab(stack, tmp_path, MODEL=evil, STAGE="`touch owned`") != 0
    assert not list(tmp_path.rglob("owned"))
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
