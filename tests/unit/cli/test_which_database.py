"""Without being told, a command looks into the database that its user means, or says why it can't."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.cli.database import default_uri
from lifecycle.errors import NotFound, UsageError

POSTGRES = "postgresql://mlflow@db/mlflow"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("here", "home"):
        (tmp_path / name).mkdir()
    return tmp_path / "here", tmp_path / "home"


@pytest.mark.parametrize(
    ("environ", "meant"),
    [
        ({"MLFLOW_REGISTRY_STORE_URI": f"lifecycle+{POSTGRES}"}, f"lifecycle+{POSTGRES}"),
        ({"MLFLOW_BACKEND_STORE_URI": POSTGRES}, POSTGRES),
        ({"MLFLOW_BACKEND_STORE_URI": "sqlite:///a.db", "MLFLOW_REGISTRY_STORE_URI": POSTGRES}, POSTGRES),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_BACKEND_STORE_URI": POSTGRES}, POSTGRES),
        ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_REGISTRY_URI": POSTGRES}, POSTGRES),
        ({"MLFLOW_TRACKING_URI": "sqlite:///a.db"}, "sqlite:///a.db"),
    ],
)
def test_the_environment_says_it_the_servers_variables_first(folders, environ, meant):
    assert default_uri(environ, *folders) == meant


def test_else_it_is_mlflows_default_here_and_then_the_local_stacks(folders):
    here, home = folders
    with pytest.raises(NotFound, match="--registry-store-uri"):
        default_uri({}, here, home)
    (home / "mlflow.db").touch()
    assert default_uri({}, here, home) == f"sqlite:///{home / 'mlflow.db'}"
    (here / "mlflow.db").touch()
    assert default_uri({}, here, home) == f"sqlite:///{here / 'mlflow.db'}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://user:secret@mlflow.example"])
def test_a_server_that_is_not_the_local_stack_has_its_database_elsewhere(folders, url):
    with pytest.raises(UsageError, match="names an MLflow server") as caught:
        default_uri({"MLFLOW_TRACKING_URI": url}, *folders)
    assert "secret" not in str(caught.value)
