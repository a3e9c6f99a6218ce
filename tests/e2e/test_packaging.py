"""What is published: built from tracked files alone, installed somewhere clean, and complete there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"lifecycle": "lifecycle", "mlflow_lifecycle": "plugins/mlflow_lifecycle"}
GIT = shutil.which("git") or "git"
OTHERS = ("docs", "notebooks", "plugins", "projects", "tests")
GROUPS = (
    "console_scripts",
    "mlflow.deployments",
    "mlflow.model_registry_store",
    "lifecycle.gates",
    "lifecycle.targets",
    "lifecycle.compilers",
)

pytestmark = pytest.mark.slow

DEPENDENCIES = sysconfig.get_path("purelib")
PROBE = f"""
import json
from importlib.metadata import entry_points
import lifecycle, mlflow_lifecycle

ours = [e for group in {GROUPS!r} for e in entry_points(group=group) if e.dist.name == "mlflow-lifecycle"]
print(json.dumps({{
    "files": [lifecycle.__file__, mlflow_lifecycle.__file__],
    "loaded": [[e.group, e.name, e.load() is not None] for e in ours],
}}))
"""

IMPORTABLE = f"""
import importlib.util, json, sys

def is_ours(name):  # tf2onnx and others bring a package called tests
    spec = importlib.util.find_spec(name)
    return spec is not None and not list(spec.submodule_search_locations)[0].startswith({DEPENDENCIES!r})

print(json.dumps([sys.path, [n for n in {(*PACKAGES, *OTHERS)!r} if is_ours(n)]]))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Standard output; all that it said in the failure otherwise."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LIFECYCLE_", "MLFLOW_"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def tracked(folder: str = "") -> list[str]:
    """Files that git tracks and that are there, relative to the root."""
    listed = subprocess.run(
        [GIT, "ls-files", "-z", "--", folder or "."], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def clone(workdir) -> Path:
    for name in tracked():
        target = workdir / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return workdir / "clone"


@pytest.fixture(scope="module")
def dist(clone, workdir) -> Path:
    """An sdist, and the wheel built from it: so the sdist is known to be complete."""
    run(sys.executable, "-m", "build", "--outdir", workdir / "dist", clone, cwd=workdir)
    return workdir / "dist"


@pytest.fixture(scope="module")
def wheel(dist) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def environment(folder: Path, *install: str | Path) -> Path:
    """A fresh environment whose dependencies, and nothing else, are those of this one; returns its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", *install, cwd=folder)
    # A line in a .pth file adds a folder but not that folder's own .pth files, which hold editable installs. The
    # name sorts first: the environment's own editable install needs a dependency at start-up.
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "0-dependencies.pth").write_text("\n".join(sorted(here)) + "\n")
    return python


@pytest.fixture(scope="module")
def python(wheel, workdir) -> Path:
    return environment(workdir / "installed", wheel)


def test_the_wheel_holds_two_packages_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert len(tops) == len(PACKAGES) + 1


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_whole_typed_and_free_of_tests(package, wheel):
    source = PACKAGES[package]
    wanted = {package + name.removeprefix(source) for name in tracked(source)}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(f"{package}/")}
    assert held == wanted
    assert f"{package}/py.typed" in held
    assert [name for name in held if Path(name).name.startswith(("test_", "conftest"))] == []


def test_the_sdist_holds_what_a_build_needs(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"} <= names
    assert {name.partition("/")[0] for name in names if "/" in name} == {"lifecycle", "plugins"}


def test_every_entry_point_loads_where_only_the_wheel_is(python, workdir):
    found = json.loads(run(python, "-c", PROBE, cwd=workdir).splitlines()[-1])
    assert all(Path(file).is_relative_to(workdir / "installed") for file in found["files"])
    assert {group for group, _, _ in found["loaded"]} == set(GROUPS)
    assert all(loaded for _, _, loaded in found["loaded"])


def test_the_command_is_installed(python, workdir):
    assert "lifecycle gate run" in run(python.with_name("lifecycle"), "--help", cwd=workdir)
    assert "lifecycle, version" in run(python.with_name("lifecycle"), "--version", cwd=workdir)


def test_mlflow_finds_the_targets(python, workdir):
    said = run(python, "-m", "mlflow", "deployments", "help", "-t", "lifecycle", cwd=workdir)
    for target in ("rest", "batch", "edge"):
        assert f"lifecycle:/{target}" in said


def test_an_editable_install_brings_two_names_and_no_folder(clone, workdir):
    python = environment(workdir / "editable", "--editable", clone)
    path, importable = json.loads(run(python, "-c", IMPORTABLE, cwd=workdir))
    assert [entry for entry in path if Path(entry).is_relative_to(clone)] == []
    assert importable == list(PACKAGES)
