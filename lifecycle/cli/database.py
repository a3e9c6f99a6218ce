"""Which database a command looks into, where it isn't said."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lifecycle.errors import NotFound, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

SERVER_VARIABLES = ("MLFLOW_REGISTRY_STORE_URI", "MLFLOW_BACKEND_STORE_URI")
"""What ``mlflow server`` takes its databases from."""

_CLIENT_VARIABLES = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
_OPTION = "--registry-store-uri"

store_option = click.option(
    _OPTION,
    "uri",
    metavar="URI",
    help="The registry's database, with or without lifecycle+. Default: as MLflow's environment says, "
    "else ./mlflow.db, else that of lifecycle up.",
)


@contextmanager
def guarded_database(uri: str | None, home: Path) -> Iterator[Connection]:
    """A look at one moment of a guarded registry's database.

    Raises:
        NotFound, UsageError, ConfigError, Unavailable: there is none, or not where that leads.
    """
    from lifecycle.promotion.database import one_moment, open_database
    from lifecycle.promotion.migrations.upgrade import check_current
    from lifecycle.promotion.mlflow_tables import check_mlflow

    with (
        open_database(uri or default_uri(os.environ, Path.cwd(), home)) as engine,
        one_moment(engine) as connection,
    ):
        check_mlflow(connection)
        check_current(connection)
        yield connection


def default_uri(environ: Mapping[str, str], cwd: Path, home: Path) -> str:
    """The database that the environment means.

    Raises:
        UsageError: that is a server elsewhere, which shows its database to nobody.
        NotFound: nothing says where it is.
    """
    variable = next((name for name in (*SERVER_VARIABLES, *_CLIENT_VARIABLES) if environ.get(name)), None)
    local = home / "mlflow.db"
    if variable is None:
        found = next((file for file in (cwd / "mlflow.db", local) if file.is_file()), None)
        if found is None:
            raise NotFound(f"there is no mlflow.db here and no local stack; say where the database is: {_OPTION}")
        return f"sqlite:///{found}"
    named = environ[variable]
    if not named.startswith(("http://", "https://")):
        return named
    from lifecycle.stack import running_server

    server = running_server(home)
    if server is None or server.url.rstrip("/") != named.rstrip("/"):
        raise UsageError(
            f"the ledger is read from the registry's database itself, and {variable} names a server before it. "
            f"Run this where the database can be reached, with {_OPTION}"
        )
    return f"sqlite:///{local}"
