from __future__ import annotations

import subprocess
import sys

import pytest

from lifecycle.errors import Conflict, NotFound, Unavailable, UsageError
from lifecycle.targets.contract import TARGETS, load_target
from lifecycle.testing.target_contract import folder_context


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Pretend that a package is installed that declares these targets."""

    def install(package: str, *targets: str) -> None:
        info = tmp_path / f"{package}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[lifecycle.targets]\n" + "\n".join(targets) + "\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_the_built_in_targets_are_known():
    assert {"rest", "batch", "edge"} <= set(TARGETS.names())


def test_a_target_is_constructed_with_its_context(tmp_path):
    target = load_target("rest", folder_context(tmp_path))
    assert (target.name, list(target.list())) == ("rest", [])


def test_an_unknown_target_is_answered_with_the_nearest_and_all_known_ones(tmp_path):
    with pytest.raises(NotFound, match=r"unknown target 'rets'; did you mean 'rest'\? Known: batch, edge, rest"):
        TARGETS.load("rets")


def test_a_third_partys_target_is_found_by_name(install, tmp_path):
    install("third", "here = lifecycle.targets.memory_target:MemoryTarget")
    assert "here" in TARGETS.names()
    assert TARGETS.load("here").name == "memory"


@pytest.mark.parametrize("value", ["no_such_module:X", "lifecycle.targets.memory_target:NoSuchTarget"])
def test_a_target_that_cannot_be_imported_says_what_to_install(install, tmp_path, value):
    install("third", f"broken = {value}")
    assert "broken" in TARGETS.names()
    with pytest.raises(Unavailable, match=r"'broken' cannot be imported .*pip install .*third"):
        TARGETS.load("broken")


def test_a_name_that_two_packages_claim_is_refused(install, tmp_path):
    install("third", "rest = lifecycle.targets.memory_target:MemoryTarget")
    with pytest.raises(Conflict, match="'rest' is registered twice"):
        TARGETS.load("rest")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("lifecycle.targets.contract:TargetOptions", "has no class Options that derives from TargetOptions"),
        ("lifecycle.targets.contract:follows", "is not a class"),
    ],
)
def test_a_target_of_another_shape_is_refused_when_it_is_found(install, tmp_path, value, words):
    install("third", f"broken = {value}")
    with pytest.raises(
        UsageError, match=rf"target 'broken' cannot be used: {value} {words}.*third.*Known: .*rest"
    ):
        TARGETS.load("broken")


def test_loading_the_rest_target_imports_no_server_and_no_runtime():
    code = (
        "import sys; from lifecycle.targets.contract import TARGETS\n"
        "TARGETS.load('rest').help\n"
        "print([m for m in ('starlette', 'uvicorn', 'onnxruntime', 'mlflow', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
