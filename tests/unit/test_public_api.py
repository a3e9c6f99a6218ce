"""What ``import lifecycle`` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

import lifecycle

HEAVY = ("mlflow", "pandas", "numpy", "sklearn", "evidently", "great_expectations", "pydantic", "sqlalchemy")


def test_the_notebook_api_is_these_few_names():
    assert lifecycle.__all__ == [
        "check",
        "deploy",
        "errors",
        "history",
        "promote",
        "rollback",
        "track",
        "undeploy",
    ]
    public = {name for name, value in vars(lifecycle).items() if callable(value) and not name.startswith("_")}
    assert public | {"errors"} == set(lifecycle.__all__)


@pytest.mark.parametrize("name", lifecycle.__all__)
def test_every_public_name_says_what_it_takes(name):
    assert getattr(lifecycle, name).__doc__


@pytest.mark.parametrize("module", ["lifecycle", "lifecycle.cli", "lifecycle.targets", "lifecycle.gates"])
def test_importing_costs_nothing_heavy(module):
    probe = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_that_only_commands_use():
    probe = (
        "import sys, click; before = set(sys.modules); from lifecycle.cli import run; code = run(['--help']);"
        "print(code, *sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    code, *imported = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "lifecycle.cli.gate" in imported
    assert not {
        *("lifecycle.assembly", "lifecycle.display", "lifecycle.domain", "lifecycle.durable"),
        *("difflib", "hashlib", "importlib.metadata", "logging", "rich", "socket", "tempfile", "uuid"),
    } & set(imported)


def test_a_client_of_a_server_does_without_the_database_store():
    probe = (
        "import sys, lifecycle.registry.mlflow_registry;"
        "from mlflow.tracking._model_registry.utils import _get_store_registry;"
        "print('lifecycle+sqlite' in _get_store_registry()._registry, 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    "group", ["mlflow.deployments", "mlflow.model_registry_store", "lifecycle.gates", "lifecycle.targets"]
)
def test_every_entry_point_of_ours_loads(group):
    ours = [e for e in entry_points(group=group) if e.value.startswith(("lifecycle", "mlflow_lifecycle"))]
    assert ours
    for entry in ours:
        assert entry.load() is not None
