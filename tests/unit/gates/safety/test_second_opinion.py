"""modelscan, where it is installed, as a command."""

import json
import os
import shutil
import sys

import pytest

from lifecycle.domain.verdict import Outcome
from lifecycle.gates.safety.second_opinion import second_opinion


@pytest.fixture
def modelscan(tmp_path, monkeypatch):
    """A command of that name that answers as modelscan 0.8.8 does, in its own words, or behaves as told."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()

    def install(issues=(), errors=(), body=None):
        report = {"summary": {"modelscan_version": "0.8.8"}, "issues": list(issues), "errors": list(errors)}
        (tmp_path / "report.json").write_text(json.dumps(report))
        body = (
            body
            or f"import shutil; shutil.copy({str(tmp_path / 'report.json')!r}, sys.argv[sys.argv.index('-o') + 1])"
        )
        command = bin_folder / "modelscan"
        asked = tmp_path / "asked.json"
        command.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            f"json.dump([sys.argv[1:], os.getcwd(), dict(os.environ)], open({str(asked)!r}, 'w'))\n{body}\n"
        )
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin_folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return lambda: json.loads(asked.read_text())

    return install


ISSUE = {
    "description": "Use of unsafe operator 'system' from module 'posix'",
    "operator": "system",
    "module": "posix",
    "source": "model.pkl",
    "scanner": "modelscan.scanners.PickleUnsafeOpScan",
    "severity": "CRITICAL",
}


def test_without_it_the_verdict_says_so(folder, verdict_on, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.figures["second_opinion"]) == (Outcome.PASSED, "not installed")


def test_its_agreement_is_told(modelscan, folder, verdict_on):
    modelscan()
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.figures["second_opinion"]) == (Outcome.PASSED, "modelscan 0.8.8")


def test_what_it_holds_against_the_model_fails_it(modelscan, folder, verdict_on):
    modelscan(issues=[ISSUE])
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "safety.second_opinion")
    assert "posix.system" in verdict.message


def test_a_name_that_the_operator_allows_is_the_operators_word(modelscan, folder, verdict_on):
    modelscan(issues=[ISSUE])
    assert verdict_on(folder, allow=["posix.system"]).outcome is Outcome.PASSED


def test_files_that_it_cannot_read_are_counted(modelscan, folder, verdict_on):
    modelscan(errors=[{"category": "MODEL_SCAN"}])
    assert verdict_on(folder).figures["second_opinion"] == "modelscan 0.8.8, 1 files not read"


@pytest.mark.parametrize("body", ["sys.exit(2)", "open(sys.argv[-1], 'w').write('[]')", "os.abort()"])
def test_its_failure_is_told_and_decides_nothing(body, modelscan, folder, verdict_on):
    modelscan(body=body)
    verdict = verdict_on(folder)
    assert (verdict.outcome, verdict.figures["second_opinion"]) == (Outcome.PASSED, "modelscan broke")


def test_it_is_not_waited_for_without_end(modelscan, folder, verdict_on):
    modelscan(body="import signal; signal.pause()")
    assert verdict_on(folder, max_seconds=1).figures["second_opinion"] == "modelscan took too long"


def test_it_is_asked_outside_of_the_model_and_told_no_secrets(modelscan, folder, verdict_on, monkeypatch):
    asked = modelscan()
    folder.write("modelscan-settings.toml", "[scanners]\n")  # which it reads from the working directory
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    verdict_on(folder)
    arguments, directory, environment = asked()
    assert str(folder.path) in arguments
    assert directory != str(folder.path)
    assert "hunter2" not in json.dumps(environment)


def test_a_model_that_failed_already_is_not_unpacked_once_more(modelscan, folder, verdict_on, evil):
    modelscan()
    folder.write("model.pkl", evil)
    assert verdict_on(folder).figures["second_opinion"] == "not asked"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("modelscan") is None, reason="modelscan is not installed here")
def test_the_real_one_answers(folder, verdict_on, evil):
    assert verdict_on(folder).figures["second_opinion"].startswith("modelscan 0.")
    folder.write("model.pkl", evil)
    assert second_opinion(folder.path, 60).issues == (("model.pkl", "posix.system"),)
