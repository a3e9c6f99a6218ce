"""Ask quickly whether a registry can answer at all, before MLflow asks patiently.

MLflow's client retries a dead server, and its store a broken database file, for more than a minute.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import requests
from sqlalchemy.engine import make_url

from lifecycle.errors import Unavailable

_TIMEOUT_S = (3.0, 5.0)  # to connect, to read
_SQLITE_MAGIC = b"SQLite format 3\x00"


def check_reachable(uri: str) -> None:
    """Return when an MLflow server or SQLite file is there; other kinds of URI are not looked at.

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
