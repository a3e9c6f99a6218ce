"""Address of the registry, and whether it answers."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from lifecycle.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Location:
    """The two URIs of an MLflow installation."""

    tracking_uri: str
    registry_uri: str

    def as_environment(self) -> dict[str, str]:
        """Environment variables that make a child process use the same registry."""
        return {"MLFLOW_TRACKING_URI": self.tracking_uri, "MLFLOW_REGISTRY_URI": self.registry_uri}


def mlflow_location() -> Location:
    """The URIs set by ``mlflow.set_tracking_uri`` or the environment, else ``sqlite:///mlflow.db``.

    A SQLite file has no server, so the guard runs in this process.
    """
    import mlflow  # heavy, and it reads its environment variables when it is imported

    registry_uri: str = mlflow.get_registry_uri()
    guarded = f"lifecycle+{registry_uri}" if registry_uri.startswith("sqlite:") else registry_uri
    return Location(mlflow.get_tracking_uri(), guarded)


_TIMEOUT_S = (3.0, 5.0)  # to connect, to read
_SQLITE_MAGIC = b"SQLite format 3\x00"


def check_present(uri: str) -> None:
    """Return when an MLflow server listens or an SQLite file is there, without asking the server anything.

    Raises:
        Unavailable: it is not, or it is no database.
    """
    if urlsplit(uri).scheme not in ("http", "https"):
        check_reachable(uri)
        return
    parts = urlsplit(uri)
    if parts.hostname is None or requests.utils.get_environ_proxies(uri):
        return  # only the proxy can tell
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_TIMEOUT_S[0]).close()
    except OSError as exc:
        raise Unavailable(f"no MLflow server answers at {parts.hostname}:{port}") from exc


def check_reachable(uri: str) -> None:
    """Check that the MLflow server or SQLite file is there; other URIs are not checked.

    Raises:
        Unavailable: it is not, or it is no database.
    """
    scheme = urlsplit(uri).scheme.removeprefix("lifecycle+")
    if scheme in ("http", "https"):
        _check_server(uri)
    elif scheme == "sqlite":
        _check_file(uri.removeprefix("lifecycle+"))


def _check_server(uri: str) -> None:
    parts = urlsplit(uri)
    where = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
    try:
        status = requests.get(f"{uri.rstrip('/')}/health", timeout=_TIMEOUT_S).status_code
    except requests.Timeout as exc:
        raise Unavailable(f"the MLflow server at {where} does not answer in time") from exc
    except requests.RequestException as exc:
        raise Unavailable(f"no MLflow server answers at {where}") from exc
    if status >= 500:
        raise Unavailable(f"the MLflow server at {where} answers with status {status}")


def _check_file(uri: str) -> None:
    from sqlalchemy.engine import make_url

    database = make_url(uri).database
    if not database or database == ":memory:":
        return
    path = Path(database)
    try:
        with path.open("rb") as file:
            magic = file.read(len(_SQLITE_MAGIC))
    except OSError as exc:
        raise Unavailable(f"there is no readable database at {path}: {exc.strerror}") from exc
    if magic not in (b"", _SQLITE_MAGIC):
        raise Unavailable(f"{path} is not an SQLite database")
    if not os.access(path, os.W_OK):
        raise Unavailable(f"the database {path} is read-only")


def check_mlflow_schema(engine: Engine) -> None:
    """Check that this MLflow works with the database's schema.

    Raises:
        ConfigError: with MLflow's own message, which names ``mlflow db upgrade``.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which begins when MLflow is imported
    from mlflow.exceptions import MlflowException
    from mlflow.store.db.utils import _verify_schema

    try:
        _verify_schema(engine)
    except MlflowException as exc:
        raise ConfigError(exc.message) from exc
